/**
 * Records keyed by path, in which a network's parameters are selected, renamed and replaced. A path is a parameter's name in the
 * checkpoint: its keys joined with `.` (`resnet_3_0.conv_0.weight`). Plain records instead of `Map`: `tf.tidy` disposes tensors
 * that it finds in a `Map`.
 */
export type Path = string
export type Flat<A> = Readonly<Record<Path, A>>

/** A nested record of leaves, the shape in which layers read their parameters. */
export type Tree<A> = A | { readonly [key: string]: Tree<A> }

/** A record without a prototype, so that paths such as `constructor` from a foreign file are ordinary keys. */
export const empty = <A>(): Record<Path, A> => Object.create(null) as Record<Path, A>

export const fromEntries = <A>(entries: Iterable<readonly [Path, A]>): Flat<A> => {
  const record = empty<A>()
  for (const [path, value] of entries) record[path] = value
  return record
}

export const map = <A, B>(flat: Flat<A>, f: (value: A, path: Path) => B): Flat<B> =>
  fromEntries(Object.entries(flat).map(([path, value]) => [path, f(value, path)] as const))

export const filter = <A>(flat: Flat<A>, keep: (path: Path, value: A) => boolean): Flat<A> =>
  fromEntries(Object.entries(flat).filter(([path, value]) => keep(path, value)))

/** Later records win. */
export const merge = <A>(...flats: readonly Flat<A>[]): Flat<A> => fromEntries(flats.flatMap((f) => Object.entries(f)))

/** Prepends `name/` to every path; `under` removes it. */
export const prefix = <A>(flat: Flat<A>, name: string): Flat<A> =>
  fromEntries(Object.entries(flat).map(([path, value]) => [`${name}/${path}`, value] as const))

/** The entries whose path starts with `name/`, without that prefix. */
export const under = <A>(flat: Flat<A>, name: string): Flat<A> =>
  fromEntries(
    Object.entries(flat)
      .filter(([path]) => path.startsWith(`${name}/`))
      .map(([path, value]) => [path.slice(name.length + 1), value] as const),
  )

const isBranch = <A>(
  node: Tree<A>,
  isLeaf: (node: Tree<A>) => node is A,
): node is { readonly [key: string]: Tree<A> } => !isLeaf(node)

/** Joins the keys above each leaf with dots: `unflatten(flatten(tree)) = tree`. Keys must not contain a dot. */
export const flatten = <A>(tree: Tree<A>, isLeaf: (node: Tree<A>) => node is A): Flat<A> => {
  const record = empty<A>()
  const walk = (node: Tree<A>, path: string): void => {
    if (isBranch(node, isLeaf)) {
      for (const [key, child] of Object.entries(node)) walk(child, path === "" ? key : `${path}.${key}`)
    } else record[path] = node
  }
  walk(tree, "")
  return record
}

/** Splits the paths at their dots. Throws where a path is both a leaf and a branch. */
export const unflatten = <A>(flat: Flat<A>): { readonly [key: string]: Tree<A> } => {
  const root = empty<Tree<A>>()
  const branches = new Set<object>([root])
  for (const [path, value] of Object.entries(flat)) {
    const keys = path.split(".")
    let node = root
    for (const key of keys.slice(0, -1)) {
      const next = node[key] ?? empty<Tree<A>>()
      if (node[key] === undefined) branches.add(next as object)
      else if (!branches.has(next as object)) throw new Error(`path ${path} continues below ${key}, which is a leaf`)
      node[key] = next
      node = next as Record<string, Tree<A>>
    }
    const last = keys.at(-1)!
    if (node[last] !== undefined) throw new Error(`path ${path} is both a leaf and a branch`)
    node[last] = value
  }
  return root
}
