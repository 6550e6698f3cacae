/** Copies tensors between the host's memory and a device's, by graphs of Identity nodes whose results are allocated on the other side. */
import { Graph, Session } from "@adafm/onnx"

export type Tensors = Readonly<Record<string, Session.Tensor>>

export interface DeviceMemory {
  /** The same tensors, all in the device's memory. */
  readonly upload: (tensors: Tensors) => Promise<Tensors>
  /** The same tensors, all in the host's memory. */
  readonly download: (tensors: Tensors) => Promise<Tensors>
  /** Uploaded tensors must not be used after this: their memory belongs to the sessions that allocated it. */
  readonly release: () => Promise<void>
}

const isResident = ({ location }: Session.Tensor): boolean => location === "gpu-buffer"

/** Frees tensors in the device's memory; those in the host's memory are left to the garbage collector. */
export const free = (tensors: readonly Session.Tensor[]): void => {
  for (const tensor of tensors) if (isResident(tensor)) tensor.dispose()
}

const identities = (
  tensors: readonly Session.Tensor[],
  provider: string,
  resident: boolean,
): Promise<Session.Session> => {
  const g = Graph.builder()
  for (const [i, { type, dims }] of tensors.entries()) {
    const dtype = type as "float32" | "int32"
    g.output(`out${i}`, g.op("Identity", [g.input(`in${i}`, dtype, dims)]), dtype, dims)
  }
  return Session.create(Graph.encode(g.graph()), {
    provider,
    ...(resident && { resident: tensors.map((_, i) => `out${i}`) }),
  })
}

export const open = (provider: string): DeviceMemory => {
  const sessions = new Map<string, Promise<Session.Session>>()
  const move = async (all: Tensors, resident: boolean): Promise<Tensors> => {
    const moving = Object.entries(all).filter(([, t]) => isResident(t) !== resident)
    if (moving.length === 0) return all
    const tensors = moving.map(([, t]) => t)
    const key = JSON.stringify([resident, tensors.map(({ type, dims }) => [type, dims])])
    const session = await (sessions.get(key) ?? identities(tensors, provider, resident))
    sessions.set(key, Promise.resolve(session))
    const results = await session.runTensors(Object.fromEntries(tensors.map((t, i) => [`in${i}`, t])))
    return { ...all, ...Object.fromEntries(moving.map(([name], i) => [name, results[`out${i}`]!])) }
  }
  return {
    upload: (tensors) => move(tensors, true),
    download: (tensors) => move(tensors, false),
    release: async () => {
      for (const session of sessions.values()) await (await session).release()
    },
  }
}
