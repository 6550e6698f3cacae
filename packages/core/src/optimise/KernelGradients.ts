/**
 * Gradients of TensorFlow.js kernels, for the kernels that `Ops` and plain arithmetic need.
 *
 * TensorFlow.js keeps its gradients in modules that Node cannot import from `@tensorflow/tfjs-core` (ES modules without
 * file extensions in a CommonJS package); only the whole `@tensorflow/tfjs` bundle carries them, with WebGL and Keras.
 * So this module defines them. Each is written with operations that have a gradient in the same table, so all can be
 * differentiated any number of times. They read inputs only: an output that the tape saves is a copy without a connection to its
 * node, and a second derivative through it is lost (TensorFlow.js's second derivatives of `sigmoid`, `tanh` and `exp` are wrong
 * for this reason). Importing this module registers the gradients.
 */
import * as tf from "@tensorflow/tfjs-core"
import * as Failure from "../Failure.ts"

type Tensor = tf.Tensor
type Images = tf.Tensor4D
/** Gradients by input name; only the ones that are called are computed. */
type Inputs = Readonly<Record<string, () => Tensor>>

interface Rule {
  /** Inputs that the gradient reads, in the order of `saved`; "all" for kernels with a list of inputs. */
  readonly inputs?: readonly string[] | "all"
  readonly gradient: (dy: Tensor, saved: readonly Tensor[], attrs: unknown) => Inputs
}

/** Sums dy over the axes along which a tensor of this shape was broadcast. */
const unbroadcast = (dy: Tensor, shape: readonly number[]): Tensor => {
  const axes = tf.backend_util.getReductionAxes([...shape], dy.shape)
  return tf.reshape(axes.length > 0 ? tf.sum(dy, axes) : dy, [...shape])
}

/** dy of a reduction, repeated over the reduced axes. */
const rebroadcast = (dy: Tensor, shape: readonly number[], axis: number | number[]): Tensor => {
  const kept = [...shape]
  for (const a of tf.util.parseAxisParam(axis, kept)) kept[a] = 1
  return tf.mul(tf.reshape(dy, kept), tf.fill([...shape], 1))
}

/** An element-wise kernel of one input. */
const elementwise = (gradient: (dy: Tensor, x: Tensor) => Tensor): Rule => ({
  inputs: ["x"],
  gradient: (dy, [x]) => ({ x: () => gradient(dy, x!) }),
})

const zero: Rule = { gradient: (dy) => ({ x: () => tf.zerosLike(dy) }) }

/** Comparisons and logical operations are piecewise constant: their gradient is 0. */
const decision: Rule = {
  inputs: ["a", "b"],
  gradient: (_, [a, b]) => ({ a: () => tf.fill(a!.shape, 0), b: () => tf.fill(b!.shape, 0) }),
}

const matMulRule: Rule = {
  inputs: ["a", "b"],
  gradient: (dy, [a, b], attrs) => {
    const { transposeA, transposeB } = attrs as tf.BatchMatMulAttrs
    const [A, B] = [a!, b!]
    return {
      a: () => (transposeA ? tf.matMul(B, dy, transposeB, true) : tf.matMul(dy, B, false, !transposeB)),
      b: () => (transposeB ? tf.matMul(dy, A, true, transposeA) : tf.matMul(A, dy, !transposeA, false)),
    }
  },
}

/** TensorFlow.js has no public operation for the filter gradient. `[kh, kw, in, out]` */
const filterGradient = (x: Images, dy: Images, filterShape: readonly number[], attrs: tf.Conv2DAttrs): Tensor =>
  tf.engine().runKernel(tf.Conv2DBackpropFilter, { x, dy }, {
    strides: attrs.strides,
    pad: attrs.pad,
    dataFormat: attrs.dataFormat,
    dimRoundingMode: attrs.dimRoundingMode,
    filterShape: [...filterShape],
  } as tf.NamedAttrMap) as Tensor

/** The three kernels of a convolution are bilinear; the gradients of each are the other two. */
const convolutions: Readonly<Record<string, Rule>> = {
  [tf.Conv2D]: {
    inputs: ["x", "filter"],
    gradient: (dy, saved, attrs) => {
      const [x, filter] = saved as [Images, Images]
      const { strides, pad, dilations } = attrs as tf.Conv2DAttrs
      if ([dilations].flat().some((d) => d !== 1))
        Failure.raise(
          "UnsupportedGradient",
          `expected dilations of 1, found ${dilations}: a dilated convolution has no gradient`,
          {
            path: tf.Conv2D,
          },
        )
      return {
        x: () => tf.conv2dTranspose(dy as Images, filter, x.shape, strides, pad),
        filter: () => filterGradient(x, dy as Images, filter.shape, attrs as tf.Conv2DAttrs),
      }
    },
  },
  [tf.Conv2DBackpropInput]: {
    inputs: ["dy", "filter"],
    gradient: (ddx, saved, attrs) => {
      const [dy, filter] = saved as [Images, Images]
      const { strides, pad } = attrs as tf.Conv2DAttrs
      return {
        dy: () => tf.conv2d(ddx as Images, filter, strides, pad),
        filter: () => filterGradient(ddx as Images, dy, filter.shape, attrs as tf.Conv2DAttrs),
      }
    },
  },
  [tf.Conv2DBackpropFilter]: {
    inputs: ["x", "dy"],
    gradient: (ddw, saved, attrs) => {
      const [x, dy] = saved as [Images, Images]
      const { strides, pad } = attrs as tf.Conv2DAttrs
      return {
        x: () => tf.conv2dTranspose(dy, ddw as Images, x.shape, strides, pad),
        dy: () => tf.conv2d(x, ddw as Images, strides, pad),
      }
    },
  },
}

const arithmetic: Readonly<Record<string, Rule>> = {
  [tf.Add]: {
    inputs: ["a", "b"],
    gradient: (dy, [a, b]) => ({ a: () => unbroadcast(dy, a!.shape), b: () => unbroadcast(dy, b!.shape) }),
  },
  [tf.Sub]: {
    inputs: ["a", "b"],
    gradient: (dy, [a, b]) => ({ a: () => unbroadcast(dy, a!.shape), b: () => unbroadcast(tf.neg(dy), b!.shape) }),
  },
  [tf.Multiply]: {
    inputs: ["a", "b"],
    gradient: (dy, [a, b]) => ({
      a: () => unbroadcast(tf.mul(dy, b!), a!.shape),
      b: () => unbroadcast(tf.mul(dy, a!), b!.shape),
    }),
  },
  [tf.RealDiv]: {
    inputs: ["a", "b"],
    gradient: (dy, [a, b]) => ({
      a: () => unbroadcast(tf.div(dy, b!), a!.shape),
      b: () => unbroadcast(tf.neg(tf.div(tf.mul(dy, a!), tf.square(b!))), b!.shape),
    }),
  },
  [tf.Neg]: { gradient: (dy) => ({ x: () => tf.neg(dy) }) },
  [tf.Identity]: { gradient: (dy) => ({ x: () => dy }) },
  [tf.Cast]: { gradient: (dy) => ({ x: () => dy }) },
  [tf.ZerosLike]: zero,
  [tf.OnesLike]: zero,
  [tf.Step]: zero,
  [tf.Sign]: zero,
  [tf.Greater]: decision,
  [tf.GreaterEqual]: decision,
  [tf.Less]: decision,
  [tf.LessEqual]: decision,
  [tf.Equal]: decision,
  [tf.LogicalAnd]: decision,
  [tf.LogicalOr]: decision,
  [tf.LogicalNot]: { inputs: ["x"], gradient: (_, [x]) => ({ x: () => tf.fill(x!.shape, 0) }) },
  [tf.Square]: elementwise((dy, x) => tf.mul(dy, tf.mul(x, 2))),
  [tf.Sqrt]: elementwise((dy, x) => tf.div(dy, tf.mul(tf.sqrt(x), 2))),
  [tf.Rsqrt]: elementwise((dy, x) => tf.mul(tf.mul(dy, -0.5), tf.div(tf.rsqrt(x), x))),
  [tf.Reciprocal]: elementwise((dy, x) => tf.neg(tf.div(dy, tf.square(x)))),
  [tf.Exp]: elementwise((dy, x) => tf.mul(dy, tf.exp(x))),
  [tf.Log]: elementwise((dy, x) => tf.div(dy, x)),
  [tf.Abs]: elementwise((dy, x) => tf.mul(dy, tf.sign(x))),
  [tf.Tanh]: elementwise((dy, x) => tf.mul(dy, tf.sub(1, tf.square(tf.tanh(x))))),
  [tf.Sigmoid]: elementwise((dy, x) => tf.mul(dy, tf.mul(tf.sigmoid(x), tf.sigmoid(tf.neg(x))))),
  [tf.Softplus]: elementwise((dy, x) => tf.mul(dy, tf.sigmoid(x))),
  [tf.ClipByValue]: {
    inputs: ["x"],
    gradient: (dy, [x], attrs) => {
      const { clipValueMin, clipValueMax } = attrs as tf.ClipByValueAttrs
      const inside = tf.logicalAnd(tf.greaterEqual(x!, clipValueMin), tf.lessEqual(x!, clipValueMax))
      return { x: () => tf.where(inside, dy, tf.zerosLike(dy)) }
    },
  },
  [tf.Select]: {
    inputs: ["condition"],
    gradient: (dy, [condition]) => ({
      condition: () => tf.cast(tf.zerosLike(condition!), "float32"),
      t: () => tf.where(condition!, dy, tf.zerosLike(dy)),
      e: () => tf.where(condition!, tf.zerosLike(dy), dy),
    }),
  },
  [tf.Sum]: {
    inputs: ["x"],
    gradient: (dy, [x], attrs) => ({ x: () => rebroadcast(dy, x!.shape, (attrs as tf.SumAttrs).axis) }),
  },
  [tf.Mean]: {
    inputs: ["x"],
    gradient: (dy, [x], attrs) => ({
      x: () => rebroadcast(tf.mul(dy, dy.size / x!.size), x!.shape, (attrs as tf.MeanAttrs).axis),
    }),
  },
  [tf.BatchMatMul]: matMulRule,
}

const rearrangement: Readonly<Record<string, Rule>> = {
  [tf.Reshape]: { inputs: ["x"], gradient: (dy, [x]) => ({ x: () => tf.reshape(dy, x!.shape) }) },
  [tf.ExpandDims]: { inputs: ["input"], gradient: (dy, [x]) => ({ input: () => tf.reshape(dy, x!.shape) }) },
  [tf.Transpose]: {
    gradient: (dy, _, attrs) => ({
      x: () => tf.transpose(dy, tf.backend_util.getUndoAxesPermutation((attrs as tf.TransposeAttrs).perm)),
    }),
  },
  [tf.PadV2]: {
    inputs: ["x"],
    gradient: (dy, [x], attrs) => ({
      x: () =>
        tf.slice(
          dy,
          (attrs as tf.PadV2Attrs).paddings.map(([before]) => before),
          x!.shape,
        ),
    }),
  },
  [tf.Slice]: {
    inputs: ["x"],
    gradient: (dy, [x], attrs) => {
      const { begin } = attrs as tf.SliceAttrs
      const first = Array.isArray(begin) ? begin : [begin]
      return {
        x: () =>
          tf.pad(
            dy,
            x!.shape.map((n, i) => [first[i] ?? 0, n - (first[i] ?? 0) - dy.shape[i]!]),
          ),
      }
    },
  },
  [tf.Concat]: {
    inputs: "all",
    gradient: (dy, saved, attrs) => {
      const axis = tf.util.parseAxisParam((attrs as tf.ConcatAttrs).axis, saved[0]!.shape)[0]!
      const starts = saved.map((_, k) => saved.slice(0, k).reduce((n, x) => n + x.shape[axis]!, 0))
      return Object.fromEntries(
        saved.map((x, k) => [
          k,
          () =>
            tf.slice(
              dy,
              x.shape.map((_, i) => (i === axis ? starts[k]! : 0)),
              x.shape,
            ),
        ]),
      )
    },
  },
}

export const rules: Readonly<Record<string, Rule>> = { ...convolutions, ...arithmetic, ...rearrangement }

/**
 * Registers these gradients in place of others. Loading `@tensorflow/tfjs` (as tfjs-node does) registers TensorFlow.js's own
 * gradients again, so call this before differentiating twice; it is cheap.
 */
export const register = (): void => {
  for (const [kernelName, { inputs = [], gradient }] of Object.entries(rules)) {
    tf.registerGradient({
      kernelName,
      ...(inputs === "all" ? { saveAllInputs: true } : { inputsToSave: [...inputs] }),
      gradFunc: (dy, saved, attrs) => gradient(dy as Tensor, saved, attrs),
    })
  }
}

register()
