/** The time of other programs for the same work: the ONNX graph of Inception in PyTorch, a matrix root in SciPy. */
import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Proto } from "@adafm/onnx"
import * as E from "fp-ts/lib/Either.js"

/** Runs the nodes with torch.nn.functional: best of three runs after a warm-up, in seconds per image. */
const INFER = `
import json, sys, time
import numpy as np, torch, torch.nn.functional as F
torch.set_num_threads(int(sys.argv[2])); batch = int(sys.argv[3])
graph = json.load(open(sys.argv[1] + "/graph.json")); raw = np.fromfile(sys.argv[1] + "/weights.bin", np.float32)
values = {t["name"]: torch.from_numpy(raw[t["at"]:t["at"] + t["size"]]).reshape(t["shape"]) for t in graph["tensors"]}
def run(x):
    v = dict(values, x=x)
    for n in graph["nodes"]:
        i, a = [v[name] for name in n["inputs"]], n["attributes"]
        pad = tuple(a.get("pads", [0, 0, 0, 0])[:2])
        if n["type"] == "Conv": y = F.conv2d(*i, stride=a["strides"], padding=pad)
        elif n["type"] == "Relu": y = F.relu(i[0], inplace=True)
        elif n["type"] == "MaxPool": y = F.max_pool2d(i[0], a["kernel_shape"], a["strides"], pad)
        elif n["type"] == "AveragePool": y = F.avg_pool2d(i[0], a["kernel_shape"], a["strides"], pad, count_include_pad=bool(a["count_include_pad"]))
        elif n["type"] == "Concat": y = torch.cat(i, a["axis"])
        elif n["type"] == "GlobalAveragePool": y = i[0].mean((2, 3), keepdim=True)
        elif n["type"] == "Identity": y = i[0]
        elif n["type"] == "Flatten": y = i[0].flatten(a["axis"])
        else: raise SystemExit("no operator " + n["type"])
        v[n["output"]] = y
    return y
with torch.inference_mode():
    x = torch.zeros(batch, 3, 299, 299); run(x); times = []
    for _ in range(3):
        began = time.time(); run(x); times.append((time.time() - began) / batch)
print(json.dumps({"seconds": min(times), "version": torch.__version__}))
`

/** Seconds of SciPy's `sqrtm` on a product of covariances, as pytorch-fid computes FID. */
const ROOT = `
import json, sys, time
import numpy as np, scipy
from scipy import linalg
a, b = [np.load(f)["sigma"] for f in sys.argv[1:3]]
began = time.time(); linalg.sqrtm(a.dot(b))
print(json.dumps({"seconds": time.time() - began, "version": scipy.__version__}))
`

export interface Timed {
  readonly seconds: number
  readonly version: string
}

const run = (python: string, program: string, args: readonly (string | number)[]): Timed =>
  JSON.parse(execFileSync(python, ["-c", program, ...args.map(String)]).toString()) as Timed

/** @param a, b `.npz` files with `sigma` */
export const root = (python: string, a: string, b: string): Timed => run(python, ROOT, [a, b])

/** @param model the bytes of an Inception without a classifier */
export const infer = (python: string, model: Uint8Array, threads: number, batch: number): Timed => {
  const decoded = Proto.decode(model)
  if (E.isLeft(decoded)) throw decoded.left
  const { node = [], initializer = [] } = decoded.right.graph ?? {}
  let at = 0
  const tensors = initializer.map(({ name, dims, rawData }) => {
    const size = rawData!.byteLength / 4
    at += size
    return { name, shape: (dims ?? []).map(Number), at: at - size, size }
  })
  const nodes = node.map(({ opType, input, output, attribute }) => ({
    type: opType,
    inputs: input,
    output: output[0],
    attributes: Object.fromEntries(
      (attribute ?? []).map(({ name, i, ints }) => [name, ints?.length ? ints.map(Number) : Number(i)]),
    ),
  }))
  const folder = mkdtempSync(join(tmpdir(), "adafm-bench-"))
  try {
    writeFileSync(join(folder, "graph.json"), JSON.stringify({ tensors, nodes }))
    writeFileSync(join(folder, "weights.bin"), Buffer.concat(initializer.map(({ rawData }) => rawData!)))
    return run(python, INFER, [folder, threads, batch])
  } finally {
    rmSync(folder, { recursive: true })
  }
}
