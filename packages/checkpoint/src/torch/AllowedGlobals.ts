/**
 * The allow-list: every name that a pickle may mention, and its meaning here. A name is a constant or one of the functions
 * below, which take and return plain data; names are looked up nowhere else.
 */
import { Bytes, Failure } from "@adafm/core"
import * as DType from "../DType.ts"
import * as TensorView from "../TensorView.ts"
import * as PickledNumpy from "./PickledNumpy.ts"
import * as PickledStdlib from "./PickledStdlib.ts"
import * as PickleValue from "./PickleValue.ts"

type Call = (args: readonly PickleValue.Value[], offset: number) => PickleValue.Value

const bad: (message: string, offset: number) => never = (message, offset) =>
  Failure.raise("BadPickle", message, { offset })
const unsafe: (message: string, offset: number) => never = (message, offset) =>
  Failure.raise("UnsafePickle", message, { offset })

/** Items of a tuple used as a dictionary key, and characters of each. */
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

/** Tensors that are not strided arrays, with what to save instead. */
const otherTensors: ReadonlyMap<string, string> = new Map(
  (
    [
      ["sparse_tensor", "a sparse tensor: save tensor.to_dense()"],
      ["sparse_csr_tensor", "a sparse tensor: save tensor.to_dense()"],
      ["qtensor", "a quantised tensor: save tensor.dequantize()"],
      ["nested_tensor", "a nested tensor: save its parts, tensor.unbind()"],
      ["meta_tensor_no_storage", "a tensor on the device `meta`, which has no values: save the loaded model"],
      ["wrapper_subclass", "a tensor of a custom class: save an ordinary copy of its values"],
      ["device_tensor_from_numpy", "a tensor of another device: save tensor.cpu()"],
      ["device_tensor_from_cpu_tensor", "a tensor of another device: save tensor.cpu()"],
    ] as const
  ).map(([name, what]) => [`torch._utils._rebuild_${name}`, what]),
)

/** Element types of PyTorch that are not supported. */
const unsupported = /^torch\.((Q(U?Int8|Int32|UInt4x2|UInt2x4))Storage|q?u?int\d+(x\d)?|float8_\w+|float4_\w+|bits\w+)$/

const isShort = (item: PickleValue.Value): item is PickleValue.Key =>
  PickleValue.isKey(item) && String(item).length <= MAX_ITEM
const spelt = (item: PickleValue.Key): string =>
  typeof item === "string" ? JSON.stringify(item) : PickleValue.spell(item)

/** A dictionary key; a tuple of plain values becomes one string. */
export const key = (value: PickleValue.Value, offset: number): PickleValue.Key => {
  if (PickleValue.isKey(value)) return value
  if (PickleValue.isTagged(value, "Float")) return value.value
  if (PickleValue.isTuple(value) && value.items.length <= MAX_ITEMS && value.items.every(isShort))
    return `(${value.items.map(spelt).join(", ")})`
  return bad(`a dictionary key is ${PickleValue.describe(value)}, not a string or number`, offset)
}

const items = (value: PickleValue.Value | undefined, what: string, offset: number): readonly PickleValue.Value[] =>
  PickleValue.isTagged(value, "List")
    ? value.items
    : bad(`${what} is ${PickleValue.describe(value)}, not a tuple or a list`, offset)

/** A mapping made of nothing, of another mapping, or of a list of pairs. */
const mapping: Call = (args, offset) => {
  const [from] = args
  if (from === undefined) return PickleValue.dict()
  if (PickleValue.isTagged(from, "Dict")) return PickleValue.dict(from.entries)
  return PickleValue.dict(
    items(from, "the content of a mapping", offset).map((pair) => {
      const [k, v] = items(pair, "a pair", offset)
      return k === undefined || v === undefined ? bad("expected a pair of key and value", offset) : [key(k, offset), v]
    }),
  )
}

/** `defaultdict(factory, …)`: the factory is never called. */
const defaultdict: Call = (args, offset) => mapping(args.slice(1), offset)

const collection =
  (make: (values: PickleValue.Value[]) => PickleValue.List): Call =>
  (args, offset) =>
    make(args[0] === undefined ? [] : [...items(args[0], "the content", offset)])

/** Refuses values that PyTorch changes after reading the bytes: by a sign (`neg`) or a layout of the device. `conj` is allowed. */
const checkMetadata = (metadata: PickleValue.Value | undefined, offset: number): void => {
  if (metadata === undefined || metadata === null) return
  if (!PickleValue.isTagged(metadata, "Dict")) bad(`a tensor's metadata are ${PickleValue.describe(metadata)}`, offset)
  for (const [name, value] of metadata.entries)
    if (value !== false && name !== "conj")
      // only complex tensors have `conj`, and their values are never read
      Failure.raise(
        "UnsupportedLayout",
        name === "neg"
          ? "a tensor that PyTorch negates only on reading: save tensor.resolve_neg()"
          : `a tensor with the device's layout ${PickleValue.describe(name)}: save tensor.cpu().clone()`,
        { offset },
      )
}

const tensor = (
  args: readonly PickleValue.Value[],
  dtype: DType.DType | undefined,
  metadata: PickleValue.Value | undefined,
  offset: number,
): PickleValue.Value => {
  const [from, begin, shape, strides] = args
  checkMetadata(metadata, offset)
  if (!PickleValue.isTagged(from, "Storage"))
    return bad(`a tensor over ${PickleValue.describe(from)}; expected a storage`, offset)
  const storage = dtype === undefined ? from.storage : retyped(from.storage, dtype, offset)
  const view = TensorView.make(storage, begin, items(shape, "a shape", offset), items(strides, "strides", offset), {
    offset,
  })
  return { _tag: "Tensor", view }
}

const retyped = (storage: TensorView.Storage, dtype: DType.DType, offset: number): TensorView.Storage => {
  if (storage.dtype === dtype) return storage
  if (storage.dtype !== "uint8") return bad(`a ${dtype} tensor over a ${storage.dtype} storage`, offset)
  const length = storage.length / DType.bytesPerElement(dtype)
  return Number.isInteger(length)
    ? { ...storage, dtype, length }
    : bad(`a storage of ${storage.length} bytes, which is no whole number of ${dtype} elements`, offset)
}

const rebuildTensorV3: Call = (args, offset) => {
  const [, , , , , , name, metadata] = args
  const dtype = PickleValue.isTagged(name, "Global") ? tensorDtypes.get(name.name) : undefined
  return dtype === undefined
    ? bad(`a tensor of dtype ${PickleValue.describe(name)}`, offset)
    : tensor(args, dtype, metadata, offset)
}

const first =
  (what: string): Call =>
  (args, offset) =>
    PickleValue.isTagged(args[0], "Tensor")
      ? args[0]
      : bad(`${what} of ${PickleValue.describe(args[0])}; expected a tensor`, offset)

/** `_rebuild_from_type_v2(function, type, arguments, state)`: a tensor with Python attributes, which are dropped. */
const rebuildFromType: Call = ([callee, type, args], offset) => {
  if (!PickleValue.isTagged(callee, "Global") || callee.call === undefined || !rebuilders.has(callee.name))
    return unsafe(
      `rebuilds a tensor with ${PickleValue.describe(callee)}, which is not one of PyTorch's functions for it`,
      offset,
    )
  if (!PickleValue.isTagged(type, "Global")) return bad(`a tensor of type ${PickleValue.describe(type)}`, offset)
  return callee.call(items(args, "arguments", offset), offset)
}

/** `_codecs.encode(text, "latin1")`, as protocol 2 writes bytes. */
const encode: Call = ([text, codec], offset) =>
  typeof text === "string" && codec === "latin1"
    ? { _tag: "Bytes", bytes: Bytes.fromLatin1(text) }
    : unsafe("_codecs.encode is allowed for latin1 strings only", offset)

const reprOf =
  (name: string): Call =>
  (args) =>
    `${name}(${args.slice(0, 4).map(PickleValue.describe).join(", ")})`

/** Dictionaries whose items are also attributes, in which trainers keep hyper-parameters. */
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
  ["builtins.list", collection(PickleValue.list)],
  ["__builtin__.list", collection(PickleValue.list)],
  ["builtins.set", collection(PickleValue.set)],
  ["__builtin__.set", collection(PickleValue.set)],
  ["builtins.frozenset", collection(PickleValue.set)],
  ["__builtin__.frozenset", collection(PickleValue.set)],
  ["collections.deque", collection(PickleValue.list)],
  ["argparse.Namespace", () => PickleValue.record()],
  ["types.SimpleNamespace", () => PickleValue.record()],
  ...dictionaries.map((name): [string, Call] => [name, mapping]),
  ...paths.map((name): [string, Call] => [name, PickledStdlib.path]),
  ["torch.Size", collection(PickleValue.tuple)],
  ["torch.device", reprOf("device")],
  ["torch._utils._rebuild_tensor", (args, offset) => tensor(args, undefined, undefined, offset)],
  ["torch._utils._rebuild_tensor_v2", (args, offset) => tensor(args, undefined, args[6], offset)],
  ["torch._utils._rebuild_tensor_v3", rebuildTensorV3],
  ["torch._utils._rebuild_parameter", first("a parameter")],
  ["torch._utils._rebuild_parameter_with_state", first("a parameter")],
  ["torch._tensor._rebuild_from_type_v2", rebuildFromType],
  ["torch.torch_version.TorchVersion", PickledStdlib.text],
  ...["numpy.core.multiarray", "numpy._core.multiarray"].flatMap((module): [string, Call][] => [
    [`${module}.scalar`, PickledNumpy.scalar],
    [`${module}._reconstruct`, PickledNumpy.reconstruct],
  ]),
  ["numpy.dtype", PickledNumpy.dtype],
  ["datetime.datetime", PickledStdlib.datetime],
  ["datetime.date", PickledStdlib.date],
  ["datetime.timedelta", PickledStdlib.timedelta],
  ["_codecs.encode", encode],
])

/** Functions that `_rebuild_from_type_v2` may name. */
const rebuilders = new Set([...calls.keys()].filter((name) => name.startsWith("torch._utils._rebuild_")))

/** Names that are never called: factories of a `defaultdict`, types, element types. */
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

/** The meaning of a name; raises if it is not on the list. */
export const resolve = (module: string, attribute: string, offset: number): PickleValue.Global => {
  const name = `${module}.${attribute}`
  const call = calls.get(name)
  // the list has (module, attribute) pairs; an attribute with a dot would name a part of another object
  if (!attribute.includes(".")) {
    if (call !== undefined) return { _tag: "Global", name, call }
    if (constants.has(name)) return { _tag: "Global", name }
  }
  if (unsupported.test(name))
    return Failure.raise("UnsupportedDType", `the element type ${name} is not supported`, { offset, path: name })
  const other = otherTensors.get(name)
  if (other !== undefined) return Failure.raise("UnsupportedLayout", other, { offset, path: name })
  const printable = JSON.stringify(name.slice(0, 120)).slice(1, -1)
  return Failure.raise(
    "UnsafePickle",
    `the pickle names ${printable}, which is not on the allow-list${
      /^(os|posix|nt|subprocess|sys|builtins|__builtin__|runpy|functools|operator|shutil|socket|importlib|torch(?!\.nn\.modules))\b/.test(
        module,
      )
        ? ""
        : ": save the tensors alone, torch.save(model.state_dict()), not a whole object (torch.save(model))"
    }`,
    { offset, path: printable },
  )
}

/** BUILD sets an object's attributes. Those of a mapping (`_metadata`) are dropped, those of a record are its content. */
export const build = (target: PickleValue.Value, state: PickleValue.Value, offset: number): void => {
  if (PickleValue.isTagged(target, "Array")) {
    PickledNumpy.build(target, state, offset)
    return
  }
  if (!PickleValue.isTagged(target, "Dict"))
    unsafe(`the pickle sets attributes of ${PickleValue.describe(target)}`, offset)
  if (target.kind === "dtype") {
    target.entries.set("byteorder", (PickleValue.isTuple(state) ? state.items[1] : undefined) ?? "|")
    return
  }
  if (!PickleValue.isTagged(state, "Dict"))
    bad(`attributes are ${PickleValue.describe(state)}, not a dictionary`, offset)
  for (const [name, value] of state.entries) {
    if (typeof name !== "string" || name.startsWith("__"))
      unsafe(`the pickle sets the attribute ${PickleValue.describe(name)}`, offset)
    if (target.kind === "record") target.entries.set(name, value)
  }
}
