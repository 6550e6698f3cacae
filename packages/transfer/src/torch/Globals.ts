/**
 * The allow-list: every name that a pickle may mention, and what it means here. A name stands for a constant or for one of
 * the functions below, which take and give plain data; nothing is looked up anywhere else.
 */
import { Failure } from "@adafm/core"
import * as DType from "../DType.ts"
import * as View from "../View.ts"
import * as Inert from "./Inert.ts"
import * as Numpy from "./Numpy.ts"
import * as Value from "./Value.ts"

type Call = (args: readonly Value.Value[], offset: number) => Value.Value

const bad: (message: string, offset: number) => never = (message, offset) =>
  Failure.raise("BadPickle", message, { offset })
const unsafe: (message: string, offset: number) => never = (message, offset) =>
  Failure.raise("UnsafePickle", message, { offset })

/** Items of a tuple that is a key, and characters of each. */
const MAX_ITEMS = 16
const MAX_ITEM = 256

/** PyTorch's storage classes; `UntypedStorage` counts bytes. */
export const storageDtypes: ReadonlyMap<string, DType.DType> = new Map([
  ["torch.DoubleStorage", "float64"],
  ["torch.FloatStorage", "float32"],
  ["torch.HalfStorage", "float16"],
  ["torch.BFloat16Storage", "bfloat16"],
  ["torch.LongStorage", "int64"],
  ["torch.IntStorage", "int32"],
  ["torch.ShortStorage", "int16"],
  ["torch.CharStorage", "int8"],
  ["torch.ByteStorage", "uint8"],
  ["torch.BoolStorage", "bool"],
  ["torch.ComplexFloatStorage", "complex64"],
  ["torch.ComplexDoubleStorage", "complex128"],
  ["torch.storage.UntypedStorage", "uint8"],
])

const tensorDtypes: ReadonlyMap<string, DType.DType> = new Map([
  ["torch.float64", "float64"],
  ["torch.float32", "float32"],
  ["torch.float16", "float16"],
  ["torch.bfloat16", "bfloat16"],
  ["torch.int64", "int64"],
  ["torch.int32", "int32"],
  ["torch.int16", "int16"],
  ["torch.int8", "int8"],
  ["torch.uint8", "uint8"],
  ["torch.bool", "bool"],
  ["torch.uint16", "uint16"],
  ["torch.uint32", "uint32"],
  ["torch.uint64", "uint64"],
  ["torch.float8_e4m3fn", "float8_e4m3fn"],
  ["torch.float8_e5m2", "float8_e5m2"],
  ["torch.complex32", "complex32"],
  ["torch.complex64", "complex64"],
  ["torch.complex128", "complex128"],
])

/** Tensors that are no strided array, and what to save in their place. */
const otherTensors: ReadonlyMap<string, string> = new Map(
  (
    [
      ["sparse_tensor", "a sparse tensor: save tensor.to_dense()"],
      ["sparse_csr_tensor", "a sparse tensor: save tensor.to_dense()"],
      ["qtensor", "a quantised tensor: save tensor.dequantize()"],
      ["nested_tensor", "a nested tensor: save its parts, tensor.unbind()"],
      ["meta_tensor_no_storage", "a tensor on the device `meta`, which has no values: save the loaded model"],
      ["wrapper_subclass", "a tensor of a class of its own: save an ordinary copy of its values"],
      ["device_tensor_from_numpy", "a tensor of another device: save tensor.cpu()"],
      ["device_tensor_from_cpu_tensor", "a tensor of another device: save tensor.cpu()"],
    ] as const
  ).map(([name, what]) => [`torch._utils._rebuild_${name}`, what]),
)

/** Element types that exist in PyTorch and have no counterpart here. */
const unsupported = /^torch\.((Q(U?Int8|Int32|UInt4x2|UInt2x4))Storage|q?u?int\d+(x\d)?|float8_\w+|float4_\w+|bits\w+)$/

const isShort = (item: Value.Value): item is Value.Key => Value.isKey(item) && String(item).length <= MAX_ITEM
const spelt = (item: Value.Key): string => (typeof item === "string" ? JSON.stringify(item) : Value.spell(item))

/** A tuple of plain things is a key as one text. */
export const key = (value: Value.Value, offset: number): Value.Key => {
  if (Value.isKey(value)) return value
  if (Value.isTagged(value, "Float")) return value.value
  if (Value.isTuple(value) && value.items.length <= MAX_ITEMS && value.items.every(isShort))
    return `(${value.items.map(spelt).join(", ")})`
  return bad(`a dictionary key is ${Value.describe(value)}, not a string or number`, offset)
}

const items = (value: Value.Value | undefined, what: string, offset: number): readonly Value.Value[] =>
  Value.isTagged(value, "List") ? value.items : bad(`${what} is ${Value.describe(value)}, not a tuple`, offset)

/** A mapping from nothing, from another mapping, or from a list of pairs. */
const mapping: Call = (args, offset) => {
  const [from] = args
  if (from === undefined) return Value.dict()
  if (Value.isTagged(from, "Dict")) return Value.dict(from.entries)
  return Value.dict(
    items(from, "the content of a mapping", offset).map((pair) => {
      const [k, v] = items(pair, "a pair", offset)
      return k === undefined || v === undefined ? bad("a pair has two items", offset) : [key(k, offset), v]
    }),
  )
}

/** `defaultdict(factory, …)`: the factory is never called. */
const defaultdict: Call = (args, offset) => mapping(args.slice(1), offset)

const collection =
  (make: (values: Value.Value[]) => Value.List): Call =>
  (args, offset) =>
    make(args[0] === undefined ? [] : [...items(args[0], "the content", offset)])

/** What PyTorch computes on reading and the bytes do not show: a sign (`neg`), an imaginary part's sign (`conj`), a device's own layout. */
const checkMetadata = (metadata: Value.Value | undefined, offset: number): void => {
  if (metadata === undefined || metadata === null) return
  if (!Value.isTagged(metadata, "Dict")) bad(`a tensor's metadata are ${Value.describe(metadata)}`, offset)
  for (const [name, value] of metadata.entries)
    if (value !== false && name !== "conj")
      // only complex tensors have it, whose values nobody reads
      Failure.raise(
        "UnsupportedLayout",
        name === "neg"
          ? "a tensor that is negated only when it is read: save tensor.resolve_neg()"
          : `a tensor with ${Value.describe(name)} of its device: save tensor.cpu().clone()`,
        { offset },
      )
}

const tensor = (
  args: readonly Value.Value[],
  dtype: DType.DType | undefined,
  metadata: Value.Value | undefined,
  offset: number,
): Value.Value => {
  const [from, begin, shape, strides] = args
  checkMetadata(metadata, offset)
  if (!Value.isTagged(from, "Storage")) return bad(`a tensor of ${Value.describe(from)}, not of a storage`, offset)
  const storage = dtype === undefined ? from.storage : retyped(from.storage, dtype, offset)
  const view = View.make(storage, begin, items(shape, "a shape", offset), items(strides, "strides", offset), { offset })
  return { _tag: "Tensor", view }
}

const retyped = (storage: View.Storage, dtype: DType.DType, offset: number): View.Storage => {
  if (storage.dtype === dtype) return storage
  if (storage.dtype !== "uint8") return bad(`a ${dtype} tensor over a ${storage.dtype} storage`, offset)
  const length = storage.length / DType.bytesPerElement(dtype)
  return Number.isInteger(length)
    ? { ...storage, dtype, length }
    : bad(`a storage of ${storage.length} bytes does not hold whole ${dtype} elements`, offset)
}

const rebuildTensorV3: Call = (args, offset) => {
  const [, , , , , , name, metadata] = args
  const dtype = Value.isTagged(name, "Global") ? tensorDtypes.get(name.name) : undefined
  return dtype === undefined ? bad(`dtype is ${Value.describe(name)}`, offset) : tensor(args, dtype, metadata, offset)
}

const first =
  (what: string): Call =>
  (args, offset) =>
    Value.isTagged(args[0], "Tensor") ? args[0] : bad(`${what} of ${Value.describe(args[0])}, not of a tensor`, offset)

/** `_rebuild_from_type_v2(function, type, arguments, state)`: a tensor with Python attributes, which are dropped. */
const rebuildFromType: Call = ([callee, type, args], offset) => {
  if (!Value.isTagged(callee, "Global") || callee.call === undefined || !rebuilders.has(callee.name))
    return unsafe(`rebuilds a tensor by ${Value.describe(callee)}`, offset)
  if (!Value.isTagged(type, "Global")) return bad(`a tensor of type ${Value.describe(type)}`, offset)
  return callee.call(items(args, "arguments", offset), offset)
}

/** `_codecs.encode(text, "latin1")`: how protocol 2 writes bytes. */
const encode: Call = ([text, codec], offset) =>
  typeof text === "string" && codec === "latin1"
    ? { _tag: "Bytes", bytes: Uint8Array.from(Buffer.from(text, "latin1")) }
    : unsafe("_codecs.encode is allowed for latin1 strings only", offset)

const reprOf =
  (name: string): Call =>
  (args) =>
    `${name}(${args.slice(0, 4).map(Value.describe).join(", ")})`

/** Dictionaries whose items are also attributes: hyper-parameters of trainers. */
const dictionaries = [
  "pytorch_lightning.utilities.parsing.AttributeDict",
  "lightning.pytorch.utilities.parsing.AttributeDict",
  "lightning_fabric.utilities.data.AttributeDict",
  "lightning.fabric.utilities.data.AttributeDict",
  "easydict.EasyDict",
  "munch.Munch",
  "addict.addict.Dict",
]

const paths = ["pathlib", "pathlib._local"].flatMap((module) =>
  ["Posix", "Windows", "PurePosix", "PureWindows"].map((kind) => `${module}.${kind}Path`),
)

const calls: ReadonlyMap<string, Call> = new Map<string, Call>([
  ["collections.OrderedDict", mapping],
  ["collections.Counter", mapping],
  ["collections.defaultdict", defaultdict],
  ["builtins.dict", mapping],
  ["__builtin__.dict", mapping],
  ["builtins.list", collection(Value.list)],
  ["__builtin__.list", collection(Value.list)],
  ["builtins.set", collection(Value.set)],
  ["__builtin__.set", collection(Value.set)],
  ["builtins.frozenset", collection(Value.set)],
  ["__builtin__.frozenset", collection(Value.set)],
  ["collections.deque", collection(Value.list)],
  ["argparse.Namespace", () => Value.record()],
  ["types.SimpleNamespace", () => Value.record()],
  ...dictionaries.map((name): [string, Call] => [name, mapping]),
  ...paths.map((name): [string, Call] => [name, Inert.path]),
  ["torch.Size", collection(Value.tuple)],
  ["torch.device", reprOf("device")],
  ["torch._utils._rebuild_tensor", (args, offset) => tensor(args, undefined, undefined, offset)],
  ["torch._utils._rebuild_tensor_v2", (args, offset) => tensor(args, undefined, args[6], offset)],
  ["torch._utils._rebuild_tensor_v3", rebuildTensorV3],
  ["torch._utils._rebuild_parameter", first("a parameter")],
  ["torch._utils._rebuild_parameter_with_state", first("a parameter")],
  ["torch._tensor._rebuild_from_type_v2", rebuildFromType],
  ["torch.torch_version.TorchVersion", Inert.text],
  ...["numpy.core.multiarray", "numpy._core.multiarray"].flatMap((module): [string, Call][] => [
    [`${module}.scalar`, Numpy.scalar],
    [`${module}._reconstruct`, Numpy.reconstruct],
  ]),
  ["numpy.dtype", Numpy.dtype],
  ["datetime.datetime", Inert.datetime],
  ["datetime.date", Inert.date],
  ["datetime.timedelta", Inert.timedelta],
  ["_codecs.encode", encode],
])

/** Functions that `_rebuild_from_type_v2` may name. */
const rebuilders = new Set([...calls.keys()].filter((name) => name.startsWith("torch._utils._rebuild_")))

/** Names without a function: factories of a `defaultdict`, types, element types. */
const constants = new Set([
  ...["int", "float", "bool", "str"].flatMap((name) => [`builtins.${name}`, `__builtin__.${name}`]),
  "torch.Tensor",
  "torch._tensor.Tensor",
  "torch.nn.parameter.Parameter",
  "torch.nn.parameter.Buffer",
  "torch.strided",
  "numpy.ndarray",
  ...storageDtypes.keys(),
  ...tensorDtypes.keys(),
])

/** The meaning of a name, or a refusal. */
export const resolve = (module: string, attribute: string, offset: number): Value.Global => {
  const name = `${module}.${attribute}`
  const call = calls.get(name)
  // the list is of (module, attribute) pairs: an attribute with a dot would climb into another object
  if (!attribute.includes(".")) {
    if (call !== undefined) return { _tag: "Global", name, call }
    if (constants.has(name)) return { _tag: "Global", name }
  }
  if (unsupported.test(name))
    return Failure.raise("UnsupportedDType", `${name} has no counterpart here`, { offset, path: name })
  const other = otherTensors.get(name)
  if (other !== undefined) return Failure.raise("UnsupportedLayout", other, { offset, path: name })
  const printable = JSON.stringify(name.slice(0, 120)).slice(1, -1)
  return Failure.raise(
    "UnsafePickle",
    `names ${printable}, which is not on the allow-list${
      /^(os|posix|nt|subprocess|sys|builtins|__builtin__|runpy|functools|operator|shutil|socket|importlib|torch(?!\.nn\.modules))\b/.test(
        module,
      )
        ? ""
        : "; whatever object this is (torch.save(model) saves a model whole), save the tensors alone: torch.save(model.state_dict())"
    }`,
    { offset, path: printable },
  )
}

/** BUILD: attributes of an object. A mapping's attributes (`_metadata`) are dropped, a record's are its content. */
export const build = (target: Value.Value, state: Value.Value, offset: number): void => {
  if (Value.isTagged(target, "Array")) {
    Numpy.build(target, state, offset)
    return
  }
  if (!Value.isTagged(target, "Dict")) unsafe(`sets attributes of ${Value.describe(target)}`, offset)
  if (target.kind === "dtype") {
    target.entries.set("byteorder", (Value.isTuple(state) ? state.items[1] : undefined) ?? "|")
    return
  }
  if (!Value.isTagged(state, "Dict")) bad(`attributes are ${Value.describe(state)}, not a dictionary`, offset)
  for (const [name, value] of state.entries) {
    if (typeof name !== "string" || name.startsWith("__")) unsafe(`sets the attribute ${Value.describe(name)}`, offset)
    if (target.kind === "record") target.entries.set(name, value)
  }
}
