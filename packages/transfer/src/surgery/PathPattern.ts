/**
 * Patterns of a plan: `*` is any run of characters, `?` one, `[345]` one of these, `{a,b}` either. They are matched in time
 * proportional to the pattern times the path, whatever the pattern: a regular expression of several `*` can take years.
 */

/** A place in a pattern. Without `eats` it consumes nothing; of several `next` the first that leads to the end is taken. */
interface Place {
  readonly id: number
  readonly eats?: (character: string) => boolean
  readonly next: readonly Place[]
  /** Here begins or ends what wildcard number `group` matched. */
  readonly mark?: { readonly group: number; readonly edge: "begin" | "end" }
}

export interface PathPattern {
  /** What the first, second, … wildcard matched, the earlier ones as much as possible; `undefined` if the path does not fit. */
  readonly match: (path: string) => readonly string[] | undefined
}

/** A part of the path as the search has read it: marks so far, the latest first. */
interface Trail {
  readonly group: number
  readonly edge: "begin" | "end"
  readonly at: number
  readonly before: Trail | undefined
}

const texts = (path: string, count: number, trail: Trail | undefined): readonly string[] => {
  const found = Array.from({ length: count }, () => ({ begin: 0, end: 0 }))
  for (let mark = trail; mark !== undefined; mark = mark.before) found[mark.group]![mark.edge] = mark.at
  return found.map(({ begin, end }) => path.slice(begin, end))
}

/** Depth first, the preferred way first; no place is tried twice at the same character. */
const search = (first: Place, places: number, groups: number, path: string): readonly string[] | undefined => {
  const tried = new Uint8Array(places * (path.length + 1))
  const open: { readonly place: Place; readonly at: number; readonly trail: Trail | undefined }[] = [
    { place: first, at: 0, trail: undefined },
  ]
  for (let now = open.pop(); now !== undefined; now = open.pop()) {
    const { place, at, trail } = now
    const key = place.id * (path.length + 1) + at
    if (tried[key] === 1) continue
    tried[key] = 1
    if (place.next.length === 0) {
      if (at === path.length) return texts(path, groups, trail)
      continue
    }
    if (place.eats !== undefined && (at === path.length || !place.eats(path[at]!))) continue
    const after = at + (place.eats === undefined ? 0 : 1)
    const marked = place.mark === undefined ? trail : { ...place.mark, at, before: trail }
    for (const next of place.next.toReversed()) open.push({ place: next, at: after, trail: marked })
  }
  return undefined
}

/** One of the characters of `[a-z3]`. Throws for a range that runs backwards. */
const oneOf = (set: string): ((character: string) => boolean) => {
  const test = new RegExp(`^${set}$`)
  return (character) => test.test(character)
}

const SET = /^\[[A-Za-z0-9-]+\]$/
const anything = (): boolean => true

/** Wildcards in one pattern; the parameters' names of the largest GANs have ten parts. */
const MAX_WILDCARDS = 32

/** Throws where a range in brackets runs backwards, and for more than 32 wildcards. */
export const compile = (glob: string): PathPattern => {
  let [ids, groups] = [0, 0]
  const place = (given: Omit<Place, "id">): Place => ({ id: ids++, ...given })
  type Build = (next: Place) => Place
  const eat =
    (eats: Place["eats"] & {}): Build =>
    (next) =>
      place({ eats, next: [next] })
  const run: Build = (next) => {
    const options: Place[] = []
    const self = place({ next: options })
    options.push(place({ eats: anything, next: [self] }), next)
    return self
  }
  const chain =
    (builds: readonly Build[]): Build =>
    (next) =>
      builds.reduceRight((following, build) => build(following), next)
  const text = (characters: string): Build =>
    chain(characters.split("").map((wanted) => eat((character) => character === wanted)))
  const grouped = (build: Build): Build => {
    const group = groups++
    return (next) =>
      place({ mark: { group, edge: "begin" }, next: [build(place({ mark: { group, edge: "end" }, next: [next] }))] })
  }
  /** A choice of `{a,b}`: `*` and `[…]` work inside it, without being wildcards of their own. */
  const choice = (part: string): Build =>
    chain(
      (part.match(/\*|\[[A-Za-z0-9-]+\]|[^*[]+|\[/g) ?? []).map((piece) =>
        piece === "*" ? run : SET.test(piece) ? eat(oneOf(piece)) : text(piece),
      ),
    )
  const choices = (parts: readonly Build[]): Build => {
    return (next) => place({ next: parts.map((build) => build(next)) })
  }
  const builds = (glob.match(/\*|\?|\[[^\]]*\]|\{[^}]*\}|[^*?[{]+|[[{]/g) ?? []).map((part): Build => {
    if (part === "*") return grouped(run)
    if (part === "?") return grouped(eat(anything))
    if (SET.test(part)) return grouped(eat(oneOf(part)))
    return /^\{.*\}$/s.test(part) ? grouped(choices(part.slice(1, -1).split(",").map(choice))) : text(part)
  })
  if (groups > MAX_WILDCARDS) throw new Error(`a pattern has at most ${MAX_WILDCARDS} wildcards, found ${groups}`)
  const first = chain(builds)(place({ next: [] }))
  return { match: (path) => search(first, ids, groups, path) }
}
