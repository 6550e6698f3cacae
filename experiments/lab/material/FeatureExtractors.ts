/** The feature extractors of the experiments: Inception, the bundled network, and the ResNets for CIFAR-10 from the shared data. */
import { Failure } from "@adafm/core"
import { WeightFolders } from "@adafm/job"
import { Extractor } from "@adafm/metrics"
import * as CifarResNet from "./CifarResNet.ts"

/** Whether the extractor's weights are on this machine. */
export const isHere = (name: string): boolean => {
  if (CifarResNet.isName(name)) return CifarResNet.isHere(name)
  return !name.startsWith("inception") || Extractor.findWeights({ name, ...WeightFolders.search() }) !== undefined
}

export const open = async (name: string, threads?: number): Promise<Extractor.Extractor> =>
  Failure.orThrow(
    Extractor.open({
      name: CifarResNet.isName(name) ? await CifarResNet.extractor(name) : name,
      ...WeightFolders.search(),
      ...(threads !== undefined && { threads }),
    }),
  )

/** Opens an extractor for `body` and closes it. */
export const using = async <A>(
  name: string,
  threads: number | undefined,
  body: (extractor: Extractor.Extractor) => Promise<A>,
): Promise<A> => {
  const extractor = await open(name, threads)
  try {
    return await body(extractor)
  } finally {
    await extractor.close()
  }
}
