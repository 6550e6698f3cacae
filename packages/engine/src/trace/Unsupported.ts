/** Explains which function called a kernel that cannot be compiled or differentiated, and what to write instead. */
import { Failure } from "@adafm/core"

const OPS = "the operations of Ops in @adafm/core"

/** The nearest supported form, by the kernel's name. */
const nearest: Readonly<Record<string, string>> = {
  AvgPool: "Ops.avgPool2 or Ops.avgPool3",
  AvgPool3D: "Ops.avgPool2 over each slice",
  Conv3D: "a sum of Ops.conv2d over the slices",
  Cumsum: "tf.matMul with a triangular matrix of ones",
  Cumprod: "tf.exp of tf.matMul of the logarithms with a triangular matrix of ones",
  DepthwiseConv2dNative:
    "Ops.conv2d with a filter that is zero outside its diagonal, or shifts (tf.pad, tf.slice) times weights",
  Einsum: "tf.transpose, tf.reshape and tf.matMul",
  Elu: "tf.where(x > 0, x, tf.exp(x) - 1)",
  FFT: "tf.matMul with the matrices of cosines and sines",
  FusedBatchNorm: "Ops.moments, then tf.sub, tf.mul and tf.rsqrt",
  FusedConv2D: "Ops.conv2d, then tf.add and the activation",
  GatherV2: "Ops.rows (of a table by label) or Ops.pick",
  LRN: "tf.div by the sums of squares over channels (Ops.conv2d with a banded 1×1 filter)",
  LeakyRelu: "Ops.leakyRelu",
  LogSoftmax: "tf.sub(x, tf.log(tf.sum(tf.exp(x))))",
  MaxPool: "Ops.avgPool2, or tf.maximum of tf.slice",
  Maximum: "tf.where(tf.greater(a, b), a, b)",
  Minimum: "tf.where(tf.less(a, b), a, b)",
  MirrorPad: "tf.concat of tf.slice and tf.reverse",
  Mod: "tf.sub(a, tf.mul(b, tf.floor(tf.div(a, b))))",
  Multinomial: "labels that are drawn outside the step and passed in with the batch",
  Pow: "tf.square, tf.sqrt or tf.exp(tf.mul(tf.log(x), n))",
  Prod: "tf.exp of the tf.sum of the logarithms",
  Prelu: "Ops.leakyRelu, or tf.sub(tf.relu(x), tf.mul(a, tf.relu(tf.neg(x))))",
  Relu: "Ops.relu",
  Relu6: "tf.clipByValue(x, 0, 6)",
  ResizeBilinear: "tf.matMul of rows and columns with the weights of the interpolation",
  ResizeNearestNeighbor: "Ops.upsample2",
  ScatterNd: "tf.matMul with tf.oneHot of the indices",
  Selu: "tf.where(x > 0, x, tf.exp(x) - 1), scaled",
  Softmax: "tf.exp, tf.sum and tf.div",
  SquaredDifference: "tf.square(tf.sub(a, b))",
  Tan: "tf.div(tf.sin(x), tf.cos(x))",
  TopK: "tf.where with a threshold that is passed in with the batch",
}

const inside = /node_modules|\/trace\/|\/core\/src\/optimise\/KernelGradients/

/** The TensorFlow.js function that was called and the place of the call, if the stack shows them. */
const caller = (stack: string): string => {
  const frames = stack.split("\n").filter((line) => line.trimStart().startsWith("at "))
  const at = frames.findIndex((line) => !inside.test(line))
  const called = frames
    .slice(0, at < 0 ? frames.length : at)
    .flatMap((line) => /at (\w+?)_+ \(/.exec(line)?.[1] ?? [])
    .at(-1)
  const place = frames[at]?.trim().replace(/^at /, "")
  return `${called === undefined ? "" : `, which tf.${called} calls`}${place === undefined ? "" : ` (${place})`}`
}

const failure = (tag: string, kernel: string, what: string, stack: string): Failure.Raised =>
  new Failure.Raised(
    Failure.make(tag, `${what} ${kernel}${caller(stack)}; write ${nearest[kernel] ?? `it with ${OPS}`}`, {
      path: kernel,
    }),
  )

/** An error of TensorFlow.js about a missing kernel or gradient, as a failure that says what to write instead. Other errors are returned unchanged. */
export const explain = (thrown: unknown): unknown => {
  const { message, stack = "" } = thrown instanceof Error ? thrown : new Error(String(thrown))
  const kernel = /Kernel '(\w+)' not registered for backend/.exec(message)?.[1]
  if (kernel !== undefined)
    return failure("UnsupportedOp", kernel, "a compiled step cannot use the TensorFlow.js kernel", stack)
  const gradient = /gradient function not found for (\w+)/.exec(message)?.[1]
  if (gradient !== undefined)
    return failure("UnsupportedGradient", gradient, "TensorFlow.js has no gradient for its kernel", stack)
  return thrown
}
