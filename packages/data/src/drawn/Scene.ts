/** A flower in a scene: a blurred background, stems and leaves, one to four heads, light from one side. */
import * as Dice from "./Dice.ts"
import * as Heads from "./Heads.ts"
import * as Svg from "./Svg.ts"

type Part = Heads.Part

const soft = (id: string, colour: Svg.Colour, strength: number): string =>
  Svg.radial(id, [
    [0, colour, strength],
    [0.55, colour, strength * 0.75],
    [1, colour, 0],
  ])

/** Blurred discs of light in the background. */
const discs = (dice: Dice.Dice, count: number, hues: readonly [number, ...number[]], lightness: number): Part => {
  const colours = Array.from({ length: 5 }, () =>
    Svg.hsl(dice.pick(hues) + dice.between(-12, 12), dice.between(25, 60), lightness + dice.between(-12, 16)),
  )
  return {
    definitions: colours.map((colour, k) => soft(`b${k}`, colour, dice.between(0.35, 0.7))),
    content: Array.from({ length: count }, () => {
      const r = dice.between(6, 22)
      return Svg.ellipse([dice.between(-5, 105), dice.between(-5, 105)], [r, r], `url(#b${dice.whole(0, 4)})`)
    }),
  }
}

const backdrop = (stops: Parameters<typeof Svg.vertical>[1]): Part => ({
  definitions: [Svg.vertical("sky", stops)],
  content: [`<rect x="-20" y="-20" width="140" height="140" fill="url(#sky)"/>`],
})

const both = (...parts: readonly Part[]): Part => ({
  definitions: parts.flatMap((p) => p.definitions),
  content: parts.flatMap((p) => p.content),
})

const blades = (dice: Dice.Dice, count: number, horizon: number): readonly string[] =>
  Array.from({ length: count }, () => {
    const [x, lean, tall] = [dice.between(-4, 104), dice.between(-10, 10), dice.between(12, 34)]
    const y = dice.between(horizon + tall * 0.6, 112)
    const colour = Svg.hsl(dice.between(82, 128), dice.between(35, 60), dice.between(20, 44))
    const d = [
      "M",
      x - 0.9,
      y,
      "Q",
      x,
      y - tall * 0.6,
      x + lean,
      y - tall,
      "Q",
      x + 1.6,
      y - tall * 0.5,
      x + 0.9,
      y,
      "Z",
    ]
    return Svg.path(d, Svg.css(colour), ` fill-opacity="0.75"`)
  })

const sky = (dice: Dice.Dice): Part => {
  const [hue, horizon] = [dice.between(198, 222), dice.between(62, 90)]
  const hill = Svg.hsl(dice.between(88, 130), dice.between(30, 50), dice.between(30, 46))
  const clouds = Array.from({ length: dice.whole(1, 4) }, () => [dice.between(0, 100), dice.between(5, 45)] as const)
  return both(
    backdrop([
      [0, Svg.hsl(hue, dice.between(50, 75), dice.between(52, 66))],
      [1, Svg.hsl(hue - 8, 60, 88)],
    ]),
    {
      definitions: [soft("cloud", Svg.hsl(0, 0, 100), 0.85)],
      content: [
        ...clouds.flatMap(([x, y]) =>
          [-9, 0, 9].map((dx) =>
            Svg.ellipse([x + dx, y + dice.between(-2, 2)], [dice.between(8, 15), dice.between(5, 8)], "url(#cloud)"),
          ),
        ),
        Svg.path(
          ["M", -5, 105, "L", -5, horizon, "Q", 50, horizon + dice.between(-14, 10), 105, horizon, "L", 105, 105, "Z"],
          Svg.css(hill),
        ),
        ...blades(dice, 26, horizon),
      ],
    },
  )
}

const meadow = (dice: Dice.Dice): Part => {
  const hue = dice.between(82, 125)
  return both(
    backdrop([
      [0, Svg.hsl(hue - 10, dice.between(30, 45), dice.between(48, 68))],
      [1, Svg.hsl(hue, dice.between(35, 50), dice.between(18, 28))],
    ]),
    discs(dice, 10, [hue, hue - 30, hue + 15], 52),
    { definitions: [], content: blades(dice, 46, 20) },
  )
}

const bokeh = (dice: Dice.Dice): Part => {
  const dark = dice.chance(0.45)
  const hue = dice.pick([100, 130, 160, 210, 280, 35, 330] as const)
  const lightness = dark ? dice.between(10, 20) : dice.between(55, 78)
  return both(
    backdrop([
      [0, Svg.hsl(hue, dice.between(20, 45), lightness + (dark ? 6 : 8))],
      [1, Svg.hsl(hue + dice.between(-25, 25), dice.between(20, 45), lightness - (dark ? 4 : 14))],
    ]),
    discs(dice, dice.whole(9, 18), [hue, hue + 25, 95, 50], lightness + (dark ? 16 : 6)),
  )
}

const leaf = (dice: Dice.Dice, at: Svg.Point, angle: number, length: number, broad: number): string => {
  const w = length * broad
  const fill = `url(#leaf${dice.whole(0, 1)})`
  const outline = [
    "M",
    0,
    0,
    "C",
    w * 1.5,
    -length * 0.3,
    w,
    -length * 0.75,
    0,
    -length,
    "C",
    -w,
    -length * 0.75,
    -w * 1.5,
    -length * 0.3,
    0,
    0,
    "Z",
  ]
  const rib = Svg.path(
    ["M", 0, 0, "L", 0, -length * 0.9],
    "none",
    ` stroke="#d8efb8" stroke-width="0.5" stroke-opacity="0.4"`,
  )
  return Svg.group(`${Svg.move(at)} ${Svg.turn(angle)}`, [
    Svg.path(outline, fill, ` stroke="#1d3a16" stroke-width="0.3" stroke-opacity="0.5"`),
    rib,
  ])
}

/** A stem from below the picture to the head, with leaves on both sides. */
const stem = (dice: Dice.Dice, [x, y]: Svg.Point, radius: number, narrowLeaves: boolean): readonly string[] => {
  const [foot, bend] = [x + dice.between(-16, 16), dice.between(-8, 8)]
  const width = Math.max(1.3, radius * dice.between(0.09, 0.14))
  const on = (t: number): Svg.Point => {
    const [a, b, c] = [(1 - t) ** 2, 2 * t * (1 - t), t ** 2]
    return [a * x + b * ((x + foot) / 2 + bend) + c * foot, a * y + b * ((y + 106) / 2) + c * 106]
  }
  const line = Svg.path(
    ["M", x, y, "Q", (x + foot) / 2 + bend, (y + 106) / 2, foot, 106],
    "none",
    ` stroke="url(#stem)" stroke-width="${Svg.num(width)}" stroke-linecap="round"`,
  )
  const side = dice.pick([-1, 1] as const)
  const leaves = Array.from({ length: dice.whole(1, 3) }, (_, k) => {
    const t = narrowLeaves ? dice.between(0.75, 1) : dice.between(0.3, 0.95)
    const turned = (k % 2 === 0 ? side : -side) * (narrowLeaves ? dice.between(10, 32) : dice.between(35, 75))
    return leaf(
      dice,
      on(t),
      turned,
      radius * (narrowLeaves ? dice.between(1.3, 2.1) : dice.between(0.7, 1.2)),
      narrowLeaves ? 0.11 : 0.24,
    )
  })
  return [line, ...leaves]
}

interface Place {
  readonly at: Svg.Point
  readonly radius: number
}

/** Positions of one large head, or of a few that overlap little. */
const places = (dice: Dice.Dice, species: Heads.Species): readonly Place[] => {
  const tall = species === "tulip" ? 0.8 : 1
  const alone = dice.chance(0.62)
  const close = dice.chance(0.35)
  if (alone) {
    const radius = (close ? dice.between(36, 46) : dice.between(24, 35)) * tall
    return [{ radius, at: [50 + dice.between(-9, 9), (close ? 48 : 43) + dice.between(-7, 7)] }]
  }
  const count = dice.whole(2, 4)
  const order = dice.chance(0.5) ? 1 : -1
  return Array.from({ length: count }, (_, k) => ({
    radius: dice.between(15, 22) * tall * (count === 2 ? 1.15 : 1),
    at: [
      50 + order * ((k + 0.5) / count - 0.5) * 78 + dice.between(-5, 5),
      (k % 2 === 0 ? 34 : 58) + dice.between(-9, 9),
    ],
  }))
}

const upright = (species: Heads.Species): boolean => species === "tulip"

/** The SVG of one flower. @param purpose name of the stream of random numbers @param step number of the picture in it */
export const svg = (species: Heads.Species, size: number, seed: number, purpose: string, step: number): string => {
  const dice = Dice.of(seed, `drawn/${purpose}/${species}`, step)
  const light = dice.between(-70, 70)
  const background = dice.pick([sky, meadow, bokeh, bokeh] as const)(dice)
  const green = Svg.hsl(dice.between(88, 132), dice.between(35, 55), dice.between(28, 38))
  const spots = places(dice, species)
  const stems = spots.flatMap(({ at, radius }) => stem(dice, at, radius, upright(species)))
  const heads = spots.map(({ at, radius }, k): Part => {
    const part = Heads.of[species](dice, `h${k}`, light)
    const lean = dice.between(-16, 16)
    const shape = upright(species)
      ? `${Svg.turn(lean)} ${Svg.stretch(radius / 10)}`
      : `${Svg.turn(lean * 3)} ${Svg.stretch(radius / 10, (radius / 10) * dice.between(0.72, 1))} ${Svg.turn(dice.between(0, 360))}`
    const shadow = Svg.ellipse([at[0], at[1] + radius * 0.12], [radius * 1.12, radius * 1.08], "url(#shadow)")
    return { definitions: part.definitions, content: [shadow, Svg.group(`${Svg.move(at)} ${shape}`, part.content)] }
  })
  const sun: Svg.Point = [0.5 + 0.6 * Math.sin((light * Math.PI) / 180), 0]
  const [warm, dim] = [dice.between(0.1, 0.4), dice.between(0.1, 0.34)]
  return Svg.document(
    size,
    [
      ...background.definitions,
      `<filter id="blur" filterUnits="userSpaceOnUse" x="-12" y="-12" width="124" height="124"><feGaussianBlur stdDeviation="${Svg.num(dice.between(0.8, 2.4))}"/></filter>`,
      Svg.vertical("stem", [
        [0, Svg.shade(green, 8)],
        [1, Svg.shade(green, -10)],
      ]),
      Svg.vertical("leaf0", [
        [0, Svg.shade(green, 12)],
        [1, Svg.shade(green, -8)],
      ]),
      Svg.vertical("leaf1", [
        [0, Svg.turned(Svg.shade(green, 2), -12)],
        [1, Svg.turned(Svg.shade(green, -12), 10)],
      ]),
      soft("shadow", Svg.hsl(120, 30, 6), 0.34),
      Svg.radial(
        "sun",
        [
          [0, Svg.hsl(46, 90, 90), warm],
          [0.5, Svg.hsl(46, 90, 90), 0],
          [0.5, Svg.hsl(230, 40, 8), 0],
          [1, Svg.hsl(230, 40, 8), dim],
        ],
        sun,
        1.2,
      ),
      ...heads.flatMap((h) => h.definitions),
    ],
    [
      background.content[0]!, // a blur is transparent at the edges of the picture
      `<g filter="url(#blur)">${background.content.join("")}</g>`,
      ...stems,
      ...heads.flatMap((h) => h.content),
      `<rect width="100" height="100" fill="url(#sun)"/>`,
    ],
  )
}
