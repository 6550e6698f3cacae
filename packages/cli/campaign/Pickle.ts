/** Pickles by hand: PyTorch's container before 1.6, and those that would run a command in Python. */
import { TorchWriter, ZipWriter } from "@adafm/checkpoint"
import { NdArray, Rng } from "@adafm/core"

const ascii = (text: string): readonly number[] => [...new TextEncoder().encode(text)]
/** A text of at most 255 bytes. */
const text = (value: string): readonly number[] => [0x58, ascii(value).length, 0, 0, 0, ...ascii(value)]
const pickled = (...opcodes: readonly number[]): Uint8Array => Uint8Array.from([0x80, 2, ...opcodes, 0x2e])
const MAGIC = [0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19]

const container = (body: Uint8Array, storages: readonly NdArray.NdArray[]): Uint8Array =>
  Buffer.concat([
    pickled(...MAGIC),
    pickled(0x4d, 0xe9, 0x03),
    pickled(0x7d, ...text("little_endian"), 0x88, 0x73),
    body,
    pickled(0x5d, 0x28, ...storages.flatMap((_, key) => text(String(key))), 0x65),
    ...storages.flatMap((array) => {
      const count = new Uint8Array(8)
      new DataView(count.buffer).setBigInt64(0, BigInt(array.data.length), true)
      return [count, NdArray.toBytes(array)]
    }),
  ])

export const legacy = (arrays: TorchWriter.Tree): Uint8Array => {
  const { bytes, arrays: storages } = TorchWriter.pickle({ generator: arrays })
  return container(bytes, storages)
}

/** What runs a command, or opens, imports or changes something, when Python calls it. */
const FUNCTIONS = [
  ["os", "system"],
  ["posix", "system"],
  ["nt", "system"],
  ["subprocess", "Popen"],
  ["subprocess", "check_output"],
  ["builtins", "exec"],
  ["builtins", "eval"],
  ["__builtin__", "eval"],
  ["builtins", "getattr"],
  ["builtins", "__import__"],
  ["builtins", "open"],
  ["importlib", "import_module"],
  ["runpy", "run_path"],
  ["pty", "spawn"],
  ["shutil", "rmtree"],
  ["webbrowser", "open"],
  ["operator", "attrgetter"],
  ["functools", "partial"],
  ["torch", "load"],
  ["torch.hub", "load"],
  ["torch._utils", "__dict__"],
  ["torch.serialization", "os.system"],
  ["collections", "OrderedDict.__init__.__globals__"],
  ["numpy", "load"],
  ["numpy.f2py.crackfortran", "getlincoef"],
  ["torch.storage", "_load_from_bytes"],
  ["codecs", "open"],
  ["_codecs", "lookup"],
  ["copyreg", "_reconstructor"],
  ["types", "CodeType"],
] as const

type Call = (module: string, name: string, argument: string) => readonly number[]
const global = (module: string, name: string): readonly number[] => ascii(`c${module}\n${name}\n`)
const stackGlobal = (module: string, name: string): readonly number[] => [...text(module), ...text(name), 0x93]
const CALLS: readonly Call[] = [
  // REDUCE
  (module, name, argument) => [...global(module, name), ...text(argument), 0x85, 0x52],
  // STACK_GLOBAL of texts, of texts from the memo, and of texts in two parts
  (module, name, argument) => [...stackGlobal(module, name), ...text(argument), 0x85, 0x52],
  (module, name, argument) => [
    ...text(module),
    0x94,
    ...text(name),
    0x94,
    0x30,
    0x30,
    0x68,
    0,
    0x68,
    1,
    0x93,
    ...text(argument),
    0x85,
    0x52,
  ],
  // INST, OBJ, NEWOBJ, NEWOBJ_EX
  (module, name, argument) => [0x28, ...text(argument), ...ascii(`i${module}\n${name}\n`)],
  (module, name, argument) => [0x28, ...global(module, name), ...text(argument), 0x6f],
  (module, name, argument) => [...global(module, name), ...text(argument), 0x85, 0x81],
  (module, name, argument) => [...global(module, name), ...text(argument), 0x85, 0x7d, 0x92],
  // BUILD with the function as the state's setter
  (module, name, argument) => [
    ...global("collections", "OrderedDict"),
    0x29,
    0x52,
    0x7d,
    ...text("__setstate__"),
    ...global(module, name),
    0x73,
    0x62,
    ...text(argument),
    0x62,
  ],
  // a dictionary that makes its values by the function
  (module, name, argument) => [
    ...global("collections", "defaultdict"),
    ...global(module, name),
    0x85,
    0x52,
    ...text(argument),
    0x4e,
    0x73,
  ],
]

/** Where a value stands that a reader might skip: at the top, in a dictionary, popped, in the memo only. */
const PLACES: readonly ((value: readonly number[]) => readonly number[])[] = [
  (value) => value,
  (value) => [0x7d, ...text("state_dict"), ...value, 0x73],
  (value) => [...value, 0x30, 0x7d],
  (value) => [...value, 0x71, 9, 0x30, 0x7d],
  (value) => [0x5d, 0x28, ...value, 0x65],
]

export interface Hostile {
  readonly what: string
  readonly bytes: Uint8Array
}

/** The pickle of a trial, in one of three containers. @param canary a file that it makes if it is executed */
export const hostile = (seed: number, number: number, canary: string): Hostile => {
  const { data } = Rng.uniform(Rng.at(seed, "campaign/pickle", number), [4])
  const pick = <A>(from: readonly A[], k: number): A => from[Math.floor(data[k]! * from.length)]!
  const [module, name] = pick(FUNCTIONS, 0)
  const argument = name === "exec" || name === "eval" ? `open('${canary}','w')` : `touch ${canary}`
  const body = pickled(...pick(PLACES, 1)(pick(CALLS, 2)(module, name, argument)))
  const made = pick<readonly [string, () => Uint8Array]>(
    [
      ["a bare pickle", () => body],
      ["the container before 1.6", () => container(body, [])],
      [
        "a zip",
        () =>
          Buffer.concat([
            ...ZipWriter.encode([
              { name: "archive/data.pkl", bytes: body },
              { name: "archive/version", bytes: Buffer.from("3\n") },
            ]),
          ]),
      ],
    ],
    3,
  )
  return { what: `${module}.${name} in ${made[0]}`, bytes: made[1]() }
}
