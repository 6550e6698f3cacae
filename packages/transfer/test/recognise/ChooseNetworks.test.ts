/** Which tensors of a checkpoint are the generator and the discriminator. */
import { execFileSync } from "node:child_process"
import { mkdtempSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { TorchWriter, ZipWriter } from "@adafm/checkpoint"
import { Failure, Files, Flat, Leaf, NdArray, Safetensors } from "@adafm/core"
import { Dcgan, Gan, GpGan, ModelFolder, type State } from "@adafm/gan"
import { describe, expect, test } from "vitest"
import * as Import from "../../src/import/Import.ts"
import * as Inspect from "../../src/import/Inspect.ts"
import * as RoleWords from "../../src/recognise/RoleWords.ts"

const here = mkdtempSync(join(tmpdir(), "adafm-choose-"))
let files = 0

const gan = Gan.of(Dcgan.Config.parse(Dcgan.standard({ resolution: 16, nf: 4, z_dim: 3 })))
const drawn = (seed: number, net: "generator" | "discriminator", of = gan): State.Params =>
  Leaf.initAll(of[net], seed, net)
const [G, other, average, D] = [
  drawn(1, "generator"),
  drawn(2, "generator"),
  drawn(3, "generator"),
  drawn(1, "discriminator"),
]
const [counter, optimizer] = [
  NdArray.make("int64", [], BigInt64Array.of(12n)),
  { state: { "0": { step: NdArray.float32([], [3]), exp_avg: G["main.0.weight"]! } } },
]
const under = (word: string, params: State.Params): State.Params =>
  Flat.fromEntries(Object.entries(params).map(([path, array]) => [`${word}.${path}`, array]))

type Nested = TorchWriter.Tree

const imported = async (content: Nested, options: Partial<Import.Options> = {}) => {
  const [file, out] = [join(here, `${++files}.pt`), join(here, `model-${files}`)]
  await Failure.orThrow(Files.write(file, TorchWriter.encode(content)))
  const result = await Import.importModel({ files: [file], out, ...options })()
  return { result, model: async () => Failure.orThrow(ModelFolder.read(out)) }
}

/** Names of the networks that were imported, identified by their values. */
const taken = async (content: Nested, options: Partial<Import.Options> = {}): Promise<string> => {
  const { result, model } = await imported(content, options)
  if (result._tag === "Left") return `${result.left._tag}: ${result.left.message}`
  const { generator, discriminator } = await model()
  const key = Object.keys(generator).find((path) => path.endsWith("main.0.weight"))!
  const first = generator[key]!.data[0]
  const names = { G, other, average }
  const [name] = Object.entries(names).find(([, params]) => params["main.0.weight"]!.data[0] === first)!
  return `${name}${discriminator["main.0.weight"]?.data[0] === D["main.0.weight"]!.data[0] ? " and D" : ""}`
}

test.each<[string, Nested, string, string]>([
  [
    "an average before the generator",
    { ema: { generator: average }, generator: G, discriminator: D },
    "G and D",
    "average and D",
  ],
  [
    "a tree of models and a tree of averages",
    { model_ema: { netG: average }, model: { netG: G, netD: D } },
    "G and D",
    "average and D",
  ],
  ["an average whose keys name no network", { netG: G, netD: D, ema: { shadow: average } }, "G and D", "average and D"],
  ["the optimizers of both", { G, D, optim_G: optimizer, d_optimizer: optimizer }, "G and D", "NoNetwork"],
  [
    "Lightning's flat names with an average",
    { state_dict: { ...under("G", G), ...under("D", D), ...under("ema_G", average), fixed_z: counter } },
    "G and D",
    "average and D",
  ],
  [
    "one network wrapped by DataParallel, the other compiled",
    { state_dict: { ...under("generator.module", G), ...under("discriminator._orig_mod", D) } },
    "G and D",
    "NoNetwork",
  ],
  [
    "PyTorch's AveragedModel with its counter",
    { netG: G, netD: D, netG_ema: { ...under("module", average), n_averaged: counter } },
    "G and D",
    "average and D",
  ],
  ["keys that name no network: shapes decide", { a: D, b: G }, "G and D", "NoNetwork"],
  [
    "an encoder that would fit as a discriminator, before the named one",
    { encoder: D, netG: G, netD: D },
    "G and D",
    "NoNetwork",
  ],
  ["params and params_ema", { params: G, params_ema: average }, "G", "average"],
  ["a generator alone", { netG: G, optim: optimizer }, "G", "NoNetwork"],
  ["a generator alone in a bare state dict", under("gen", G), "G", "NoNetwork"],
])("%s", async (_, content, plain, ema) => {
  expect(await taken(content)).toBe(plain)
  expect(await taken(content, { ema: true })).toMatch(new RegExp(`^${ema}`))
})

/** The same networks with keys and names in one string, as the other formats store them. */
const flat: Readonly<Record<string, NdArray.NdArray>> = Object.fromEntries(
  Object.entries({ generator: G, generator_ema: average, discriminator: D }).flatMap(([root, params]) =>
    Object.entries(params).map(([path, array]) => [`${root}/module.${path}`, array]),
  ),
)
const npy = ({ shape, data }: NdArray.NdArray): Uint8Array => {
  const header = `{'descr': '<f4', 'fortran_order': False, 'shape': (${shape.map((d) => `${d},`).join(" ")}), }\n`
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  return Buffer.concat([
    Uint8Array.of(0x93),
    Buffer.from("NUMPY"),
    Uint8Array.of(1, 0, header.length, 0),
    Buffer.from(header),
    bytes,
  ])
}
const varint = (value: number): number[] =>
  value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))]
const field = (number: number, content: Uint8Array): Uint8Array =>
  Buffer.concat([Uint8Array.from([(number << 3) | 2, ...varint(content.length)]), content])
const initializer = (name: string, array: NdArray.NdArray): Uint8Array =>
  Buffer.concat([
    Uint8Array.from([...array.shape.flatMap((d) => [8, ...varint(d)]), 16, 1]),
    field(8, Buffer.from(name)),
    field(9, NdArray.toBytes(array)),
  ])

test.each([
  [
    "npz",
    Buffer.concat([
      ...ZipWriter.encode(Object.entries(flat).map(([name, array]) => ({ name: `${name}.npy`, bytes: npy(array) }))),
    ]),
  ],
  ["safetensors", Buffer.concat([...Safetensors.encode(flat)])],
  [
    "onnx, whose names have only dots",
    Buffer.concat([
      Uint8Array.of(8, 10),
      field(
        7,
        Buffer.concat(
          Object.entries(flat).map(([name, array]) => field(5, initializer(name.replace("/", "."), array))),
        ),
      ),
    ]),
  ],
])("wrappers and averages in %s", async (format, bytes) => {
  const file = join(here, format.slice(0, 4))
  await Failure.orThrow(Files.write(file, bytes))
  for (const [ema, params] of [
    [false, G],
    [true, average],
  ] as const) {
    const out = join(here, `${format.slice(0, 4)}-${ema}`)
    const result = await Failure.orThrow(Import.importModel({ files: [file], out, ema }))
    expect(result.ignored.every((path) => (ema ? /^generator[/.]/ : /^generator_ema[/.]/).test(path))).toBe(true)
    const model = await Failure.orThrow(ModelFolder.read(out))
    expect(model.generator).toEqual(params)
    expect(model.discriminator).toEqual(D)
  }
})

test("a weight that is NaN or infinite is named, and an average that was not chosen is reported", async () => {
  const spoilt = (value: number): State.Params => {
    const weight = D["main.2.weight"]!
    return { ...D, "main.2.weight": NdArray.float32(weight.shape, weight.data.with(weight.data.length - 1, value)) }
  }
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
    const { result } = await imported({ netG: G, netD: spoilt(value) })
    expect(result).toMatchObject({ left: { _tag: "NotFinite", path: "netD/main.2.weight" } })
  }
  expect((await imported({ netG: G, netD: D, netG_ema: average })).result).toMatchObject({
    right: { average: "netG_ema" },
  })
  expect((await imported({ netG: G, netD: D })).result).toMatchObject({ right: { average: null } })
})

test("two candidates for one role are an error, and flags choose one by its keys", async () => {
  const two = { a: { netG: G }, b: { netG: other }, netD: D }
  expect(await taken(two)).toBe(
    "AmbiguousNetwork: a/netG, b/netG could each be the generator: choose one, for example with --generator-at a/netG",
  )
  expect(await taken(two, { generatorAt: "b/netG" })).toBe("other and D")
  expect(await taken(two, { generatorAt: "c" })).toBe(
    "NoNetwork: --generator-at c: no tensors have these keys; there are networks at a/netG, b/netG, netD",
  )
  expect(await taken({ G, x: D, y: D }, { discriminatorAt: "y" })).toBe("G and D")
  expect(await taken({ G, x: D, y: D })).toMatch(/^AmbiguousNetwork: x, y could each be the discriminator/)
})

test("a network that fits nothing is not left out silently", async () => {
  const strange = { "conv.weight": NdArray.zeros("float32", [5, 7, 3, 3]) }
  expect(await taken({ netG: G, judge: strange })).toBe(
    "NoNetwork: none of the networks at judge is a discriminator: name its keys with --discriminator-at KEYS, or import the generator alone with --generator FILE",
  )
  const file = join(here, "strange.pt")
  await Failure.orThrow(Files.write(file, TorchWriter.encode({ netG: G, judge: strange })))
  const { result } = await imported({ netG: G }, { files: [], generator: file })
  expect(result).toMatchObject({ right: { discriminator: null, ignored: ["judge/conv.weight"] } })
})

test("a generator alone determines its whole configuration, with a discriminator that could be trained for it", async () => {
  const { result, model } = await imported(G)
  expect(result).toMatchObject({ right: { architecture: "dcgan", discriminator: null } })
  const { description, gan: read, discriminator } = await model()
  expect(description).toMatchObject({ missing: "discriminator", config: { image: [3, 16, 16] } })
  expect(discriminator).toEqual({})
  expect(Object.keys(read.discriminator).length).toBeGreaterThan(0)
  expect(() => ModelFolder.requireDiscriminator({ description }, "why", "model")).toThrow(
    /the model has only a generator: why/,
  )

  const config = GpGan.Config.parse({
    architecture: "gpgan",
    resolution: 32,
    nf: 2,
    nf_max: 5,
    z_dim: 3,
    embed: 2,
    nlabels: 3,
  })
  const gp = drawn(1, "generator", Gan.of(config))
  const known = await imported({ state_dict: under("generator", gp) })
  expect(known.result).toMatchObject({ right: { config, generator: { root: "state_dict/generator" } } })
  expect((await known.model()).generator["fc.weight"]!.data).toEqual(gp["fc.weight"]!.data)
})

test("a generator alone with one tensor too many or too few is refused, as a pair is", async () => {
  const { "main.1.bias": bias, ...cut } = G
  for (const [content, message] of [
    [{ ...G, "main.1.extra": bias! }, "generator/main.1.extra: [8] is not expected"],
    [cut, "generator/main.1.bias: [8] is missing"],
  ] as const)
    expect((await imported(content)).result).toMatchObject({
      left: { _tag: "UnknownArchitecture", message: expect.stringContaining(message) },
    })
})

test("a perceptron with one output is no generator, and a generator without square images gets a perceptron as discriminator", async () => {
  const linear = (out: number, into: number): NdArray.NdArray => NdArray.zeros("float32", [out, into])
  const perceptronD = { "0.weight": linear(8, 784), "0.bias": NdArray.zeros("float32", [8]), "2.weight": linear(1, 8) }
  const perceptronG = { "0.weight": linear(8, 5), "0.bias": NdArray.zeros("float32", [8]), "2.weight": linear(784, 8) }
  expect((await imported({ a: perceptronD, b: perceptronG })).result).toMatchObject({
    right: { generator: { root: "b" }, discriminator: { root: "a" } },
  })
  expect((await imported(perceptronD)).result).toMatchObject({ left: { _tag: "NoNetwork" } })
  const { result } = await imported(perceptronG)
  expect(result).toMatchObject({
    right: {
      config: { image: [1, 28, 28], discriminator: [{ kind: "flatten" }, { kind: "linear", in: 784 }, {}, {}, {}, {}] },
    },
  })
})

test("a spectral norm without its vectors is named, with the function that removes it", async () => {
  const { "main.0.weight": weight, ...rest } = D
  for (const names of [["weight_orig"], ["parametrizations.weight.original"]]) {
    const spectral = { ...Flat.fromEntries(names.map((name) => [`main.0.${name}`, weight!])), ...rest }
    const { result } = await imported({ netG: G, netD: spectral })
    expect(result).toMatchObject({
      left: { _tag: "UnknownArchitecture", message: expect.stringContaining("remove_spectral_norm") },
    })
  }
})

test("one shard of several is not taken for a small generator", async () => {
  const tail = Flat.filter(G, (path) => !/^main\.[01]\./.test(path))
  const file = join(here, "model-00002-of-00002.safetensors")
  await Failure.orThrow(Safetensors.write(file, tail))
  expect(await Import.importModel({ files: [file], out: join(here, "shard") })()).toMatchObject({
    left: { _tag: "OneShard", file },
  })
  const head = Flat.filter(G, (path) => /^main\.[01]\./.test(path))
  await Failure.orThrow(Safetensors.write(join(here, "head.safetensors"), head))
  expect(await Failure.orThrow(Inspect.inspect(join(here, "head.safetensors")))).toMatchObject({
    architecture: null,
    nearest: expect.stringMatching(/has 8 output channels, but images have at most 4: is this one of several shards/),
  })
})

test("a folder is refused with the names of the files to give instead", async () => {
  expect(await Import.importModel({ files: [here], out: join(here, "x") })()).toMatchObject({
    left: { _tag: "NotACheckpoint", file: here, message: expect.stringContaining("1.pt") },
  })
  const { model } = await imported({ netG: G, netD: D })
  await model()
  expect(await Inspect.inspect(join(here, `model-${files}`))()).toMatchObject({
    left: {
      message: expect.stringContaining("It looks like a model folder, which needs no import: give it to any verb."),
    },
  })
  const pipe = join(here, "pipe")
  execFileSync("mkfifo", [pipe])
  expect(await Inspect.inspect(pipe)()).toMatchObject({ left: { _tag: "NotAFile", file: pipe } })
})

test.each([
  ["generator", "generator"],
  ["models/netG_state_dict", "generator"],
  ["modelG_state_dict", "generator"],
  ["generator_test", "generator_ema"],
  ["g_running", "generator_ema"],
  ["Gs", "generator_ema"],
  ["generatorEMA", "generator_ema"],
  ["avg/gen/state_dict", "generator_ema"],
  ["D_model", "discriminator"],
  ["critic", "discriminator"],
  ["discriminator_ema", "ema"],
  ["ema", "ema"],
  ["optimizer_G", "other"],
  ["g_optim/state/0", "other"],
  ["netG/state/0", "other"],
  ["g_d", "other"],
  ["encoder", "other"],
  ["test", "other"],
  ["", "other"],
])("the keys %s say %s", (root, kind) => {
  expect(RoleWords.of(root)).toBe(kind)
})

describe("a moving average is taken with --ema and only then, and what was taken is said", () => {
  test.each([
    "netG_ema",
    "generator_ema",
    "g_ema",
    "G_ema",
    "ema_G",
    "ema_generator",
    "generatorEMA",
    "ema",
    "model_ema",
    "ema/generator",
    "G_avg",
    "generator_smooth",
    "g_running",
    "generator_test",
    "Gs",
    "params_ema",
  ])("%s", async (root) => {
    const content = root.split("/").reduceRight<Nested>((inner, key) => ({ [key]: inner }), average) as Record<
      string,
      Nested
    >
    const all = { netG: G, netD: D, ...content }
    const [plain, averaged, alone] = [
      await imported(all),
      await imported(all, { ema: true }),
      await imported({ ...content, netD: D }),
    ]
    expect(plain.result).toMatchObject({ right: { average: root, generator: { root: "netG", isAverage: false } } })
    for (const { result } of [averaged, alone])
      expect(result).toMatchObject({ right: { average: null, generator: { root, isAverage: true } } })
    for (const [{ model }, params] of [
      [plain, G],
      [averaged, average],
      [alone, average],
    ] as const)
      expect((await model()).generator["main.0.weight"]!.data).toEqual(params["main.0.weight"]!.data)
  })

  test("layers that a person says are those of the average too", async () => {
    const layers = join(here, "ema.yaml")
    writeFileSync(
      layers,
      [
        "latent: normal",
        "generator:",
        "  - { kind: view, shape: [3, 1, 1] }",
        ...(gan.config.architecture === "dcgan"
          ? gan.config.generator.slice(1).map((layer) => `  - ${JSON.stringify(layer)}`)
          : []),
      ].join("\n"),
    )
    for (const [ema, root] of [
      [false, "netG"],
      [true, "netG_ema"],
    ] as const) {
      const { result } = await imported({ netG: G, netG_ema: average }, { ema, layers })
      expect(result).toMatchObject({ right: { generator: { root, isAverage: ema } } })
    }
  })
})
