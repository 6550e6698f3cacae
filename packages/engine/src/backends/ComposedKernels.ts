/** Replaces kernels that a TensorFlow.js backend lacks or computes badly with compositions of kernels that it has. */
import * as tf from "@tensorflow/tfjs-core"

export type Attributes = Readonly<Record<string, unknown>>
export type Compose = (inputs: Readonly<Record<string, tf.Tensor>>, attrs: Attributes) => tf.Tensor

/** The kernel that the backend has now. */
export const own = (backendName: string, kernelName: string): Compose => {
  const { kernelFunc } = tf.getKernel(kernelName, backendName)
  return (inputs, attrs) => kernelFunc({ inputs, attrs: attrs as tf.NamedAttrMap, backend: tf.backend() }) as tf.Tensor
}

/** Registers a composition; a kernel of this name is replaced. */
export const register = (backendName: string, kernelName: string, compose: Compose): void => {
  if (tf.getKernel(kernelName, backendName) !== undefined) tf.unregisterKernel(kernelName, backendName)
  tf.registerKernel({
    kernelName,
    backendName,
    kernelFunc: ({ inputs, attrs }) => {
      const tensors = Object.fromEntries(
        Object.entries(inputs).map(([name, info]) => {
          const { dataId, shape, dtype } = info as tf.TensorInfo
          tf.backend().incRef(dataId)
          return [name, tf.engine().makeTensorFromTensorInfo({ dataId, shape, dtype })]
        }),
      )
      return compose(tensors, (attrs ?? {}) as Attributes)
    },
  })
}
