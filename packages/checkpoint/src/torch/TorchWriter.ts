/** PyTorch's zip container for nested dictionaries of tensors, as `torch.load(weights_only=True)` reads it. */
import { Bytes, NdArray } from "@adafm/core"
import * as TensorView from "../TensorView.ts"
import * as ZipWriter from "../zip/ZipWriter.ts"
import { storageDtypes } from "./AllowedGlobals.ts"

/** A state dict, or dictionaries of them. */
export interface Tree {
  readonly [name: string]: NdArray.NdArray | Tree
}

const classes = new Map(
  [...storageDtypes].filter(([name]) => !name.includes("Untyped")).map(([name, dtype]) => [dtype, name]),
)

const opcode = (...bytes: readonly number[]): Uint8Array => Uint8Array.from(bytes)
const MARK = opcode(0x28)
const TUPLE = opcode(0x74)
const REDUCE = opcode(0x52)
const SETITEMS = opcode(0x75)

const global = (module: string, name: string): Uint8Array => new TextEncoder().encode(`c${module}\n${name}\n`)

const text = (value: string): Uint8Array => {
  const bytes = new TextEncoder().encode(value)
  const out = new Uint8Array(5 + bytes.length)
  out[0] = 0x58
  new DataView(out.buffer).setUint32(1, bytes.length, true)
  out.set(bytes, 5)
  return out
}

/** BININT up to 2^31, LONG1 of 8 bytes beyond. */
const integer = (value: number): Uint8Array => {
  const small = value < 2 ** 31
  const out = new Uint8Array(small ? 5 : 10)
  out.set(small ? [0x4a] : [0x8a, 8])
  const view = new DataView(out.buffer)
  if (small) view.setInt32(1, value, true)
  else view.setBigInt64(2, BigInt(value), true)
  return out
}

const tuple = (items: readonly Uint8Array[]): readonly Uint8Array[] => [MARK, ...items, TUPLE]
const orderedDict: readonly Uint8Array[] = [global("collections", "OrderedDict"), opcode(0x29), REDUCE]

const tensor = ({ dtype, shape }: NdArray.NdArray, key: number): readonly Uint8Array[] => {
  const [module, name] = classes.get(dtype)!.split(".") as [string, string]
  const storage = tuple([
    text("storage"),
    global(module, name),
    text(String(key)),
    text("cpu"),
    integer(NdArray.sizeOf(shape)),
  ])
  return [
    global("torch._utils", "_rebuild_tensor_v2"),
    ...tuple([
      ...storage,
      opcode(0x51), // BINPERSID
      integer(0),
      ...tuple(shape.map(integer)),
      ...tuple(TensorView.rowMajor(shape).map(integer)),
      opcode(0x89), // requires_grad False
      ...orderedDict,
    ]),
    REDUCE,
  ]
}

const isArray = (node: NdArray.NdArray | Tree): node is NdArray.NdArray =>
  "dtype" in node && typeof node.dtype === "string"

/** The pickle of a tree, and the arrays of its storages `0`, `1`, …. */
export const pickle = (tree: Tree): { readonly bytes: Uint8Array; readonly arrays: readonly NdArray.NdArray[] } => {
  const arrays: NdArray.NdArray[] = []
  const node = (value: NdArray.NdArray | Tree): readonly Uint8Array[] =>
    isArray(value)
      ? tensor(value, arrays.push(value) - 1)
      : [
          ...orderedDict,
          MARK,
          ...Object.entries(value).flatMap(([name, child]) => [text(name), ...node(child)]),
          SETITEMS,
        ]
  const bytes = Bytes.concat([opcode(0x80, 2), ...node(tree), opcode(0x2e)])
  return { bytes, arrays }
}

/** The archive in chunks. */
export const encode = (tree: Tree): Iterable<Uint8Array> => {
  const { bytes, arrays } = pickle(tree)
  const member = (name: string, bytes: Uint8Array): ZipWriter.Member => ({ name: `archive/${name}`, bytes })
  return ZipWriter.encode([
    member("data.pkl", bytes),
    member("byteorder", new TextEncoder().encode("little")),
    ...arrays.map((array, key) => member(`data/${key}`, NdArray.toBytes(array))),
    member("version", new TextEncoder().encode("3\n")),
  ])
}
