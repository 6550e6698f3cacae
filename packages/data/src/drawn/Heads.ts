/** Flower heads, drawn as layers of petals around the origin with a radius of about ten units. */
import type { Dice } from "./Dice.ts"
import * as Svg from "./Svg.ts"

export interface Part {
  readonly definitions: readonly string[]
  readonly content: readonly string[]
}

export const SPECIES = ["cosmos", "daisy", "rose", "sunflower", "tulip"] as const
export type Species = (typeof SPECIES)[number]

type Tip = "round" | "pointed" | "notched"

/** A petal from the origin upwards. @param w half of its width */
const petalPath = (length: number, w: number, tip: Tip): readonly (string | number)[] => {
  const L = -length
  switch (tip) {
    case "round":
      return ["M", 0, 0, "C", 0.9 * w, 0.25 * L, 1.25 * w, L, 0, L, "C", -1.25 * w, L, -0.9 * w, 0.25 * L, 0, 0, "Z"]
    case "pointed":
      return ["M", 0, 0, "C", 1.4 * w, 0.35 * L, w, 0.75 * L, 0, L, "C", -w, 0.75 * L, -1.4 * w, 0.35 * L, 0, 0, "Z"]
    case "notched":
      return [
        "M",
        0,
        0,
        "C",
        0.9 * w,
        0.2 * L,
        1.6 * w,
        1.08 * L,
        0.3 * w,
        L,
        "Q",
        0,
        0.88 * L,
        -0.3 * w,
        L,
        "C",
        -1.6 * w,
        1.08 * L,
        -0.9 * w,
        0.2 * L,
        0,
        0,
        "Z",
      ]
  }
}

/** Tones of one petal, from the shaded to the lit side. */
const TONES = [-11, -5, 0, 5, 10] as const

interface Petals {
  readonly id: string
  readonly base: Svg.Colour
  readonly tip: Svg.Colour
  readonly length: number
}

/** A gradient for each tone, from the origin to the tips. */
const tones = ({ id, base, tip, length }: Petals): readonly string[] =>
  TONES.map((by, k) =>
    Svg.around(`${id}${k}`, length, [
      [0.1, Svg.shade(base, by)],
      [0.55, Svg.shade(tip, by - 3)],
      [1, Svg.shade(tip, by + 3)],
    ]),
  )

interface Ring extends Petals {
  readonly count: number
  readonly width: number
  readonly shape: Tip
  /** Angle of the first petal in degrees. */
  readonly from: number
  /** Direction of the light, in degrees clockwise from above. */
  readonly light: number
  readonly vein?: boolean
}

const ring = (dice: Dice, r: Ring): readonly string[] =>
  Array.from({ length: r.count }, (_, k) => {
    const angle = r.from + (360 * k) / r.count + dice.between(-120, 120) / r.count / 4
    const lit = Math.cos(((angle - r.light) * Math.PI) / 180)
    const tone = Math.min(4, Math.max(0, Math.round(2 + 1.6 * lit + dice.between(-0.6, 0.6))))
    const length = r.length * dice.between(0.92, 1.04)
    const edge = ` stroke="${Svg.css(Svg.shade(r.base, -16))}" stroke-width="0.22" stroke-opacity="0.55"`
    const outline = petalPath(length, r.width * dice.between(0.9, 1.08), r.shape)
    const vein =
      r.vein === true
        ? Svg.path(
            ["M", 0, -0.3 * length, "L", 0, -0.82 * length],
            "none",
            ` stroke="${Svg.css(Svg.shade(r.base, -10))}" stroke-width="0.3" stroke-opacity="0.35"`,
          )
        : ""
    return Svg.group(Svg.turn(angle), [Svg.path(outline, `url(#${r.id}${tone})`, edge), vein])
  })

/** Seeds on a disc, each turned by the golden angle. */
const seeds = (dice: Dice, radius: number, count: number, size: number, colour: Svg.Colour): readonly string[] =>
  Array.from({ length: count }, (_, k) => {
    const [angle, r] = [k * 2.39996, radius * Math.sqrt((k + 0.5) / count)]
    const at: Svg.Point = [r * Math.cos(angle), r * Math.sin(angle)]
    return Svg.ellipse(at, [size, size], Svg.css(Svg.shade(colour, dice.between(-14, 12))))
  })

const disc = (dice: Dice, id: string, radius: number, colour: Svg.Colour, dots: number): Part => ({
  definitions: [
    Svg.radial(
      id,
      [
        [0, Svg.shade(colour, 10)],
        [0.65, colour],
        [1, Svg.shade(colour, -18)],
      ],
      [0.42, 0.4],
      0.6,
    ),
  ],
  content: [
    Svg.ellipse([0, 0], [radius, radius], `url(#${id})`),
    ...seeds(dice, radius * 0.9, dots, radius * 0.09, colour),
  ],
})

/** Gold and brown for the middle of a flower. */
const gold = (dice: Dice): Svg.Colour => Svg.hsl(dice.between(38, 52), 88, dice.between(46, 56))
const brown = (dice: Dice): Svg.Colour => Svg.hsl(dice.between(18, 32), 55, dice.between(16, 26))

export type Head = (dice: Dice, id: string, light: number) => Part

const daisy: Head = (dice, id, light) => {
  const tip = dice.chance(0.65)
    ? Svg.hsl(dice.between(30, 60), dice.between(10, 60), dice.between(90, 96))
    : Svg.hsl(dice.pick([330, 285, 265, 48] as const) + dice.between(-12, 12), 75, dice.between(70, 84))
  const petals = { id, tip, base: Svg.turned(Svg.shade(tip, -16), -8), length: 10 }
  const count = dice.whole(12, 22)
  const shared = { ...petals, count, width: dice.between(20, 26) / count, light, vein: true }
  const shape = dice.pick(["round", "pointed"] as const)
  const double = dice.chance(0.6)
  const centre = disc(dice, `${id}c`, dice.between(2.3, 3.3), gold(dice), 40)
  return {
    definitions: [...tones(petals), ...centre.definitions],
    content: [
      ...ring(dice, { ...shared, shape, from: 0 }),
      ...(double ? ring(dice, { ...shared, shape, length: 8.6, from: 180 / count }) : []),
      ...centre.content,
    ],
  }
}

const sunflower: Head = (dice, id, light) => {
  const tip = Svg.hsl(dice.between(40, 52), dice.between(90, 98), dice.between(52, 60))
  const petals = { id, tip, base: Svg.turned(Svg.shade(tip, -14), -12), length: 10 }
  const count = dice.whole(16, 26)
  const shared = { ...petals, count, width: dice.between(24, 32) / count, light, shape: "pointed" as const, vein: true }
  const radius = dice.between(4, 5.2)
  const centre = disc(dice, `${id}c`, radius, brown(dice), 90)
  const heart = Svg.ellipse([0, 0], [radius * 0.4, radius * 0.4], Svg.css(Svg.hsl(55, 45, 30)), ` fill-opacity="0.45"`)
  return {
    definitions: [...tones(petals), ...centre.definitions],
    content: [
      ...ring(dice, { ...shared, from: 180 / count }),
      ...ring(dice, { ...shared, length: 9.2, from: 0 }),
      ...centre.content,
      heart,
    ],
  }
}

const COSMOS_HUES = [330, 345, 300, 275, 5, 12, 220, 25] as const

/** A few wide petals, like cosmos, anemone and poppy. */
const cosmos: Head = (dice, id, light) => {
  const hue = dice.pick(COSMOS_HUES) + dice.between(-8, 8)
  const pale = dice.chance(0.35)
  const tip = Svg.hsl(hue, dice.between(65, 90), pale ? dice.between(78, 88) : dice.between(50, 66))
  const petals = { id, tip, base: Svg.turned(Svg.shade(tip, dice.pick([-24, -16, 12] as const)), 8), length: 10 }
  const count = dice.whole(5, 8)
  const shape = dice.pick(["round", "notched"] as const)
  const width = dice.between(30, 38) / count
  const dark = dice.chance(0.4)
  const middle = dark ? Svg.hsl(hue + 20, 35, 16) : gold(dice)
  const centre = disc(dice, `${id}c`, dice.between(1.5, 2.3), middle, 24)
  const stamens = seeds(dice, 3.1, 26, 0.24, dark ? Svg.hsl(45, 60, 70) : Svg.shade(middle, -12))
  return {
    definitions: [...tones(petals), ...centre.definitions],
    content: [
      ...ring(dice, { ...petals, count, width, shape, from: 0, light, vein: true }),
      ...stamens,
      ...centre.content,
    ],
  }
}

/** Rings of broad petals, each smaller than the one below and rotated against it. */
const rose: Head = (dice, id, light) => {
  const hue = dice.pick([345, 352, 2, 335, 20, 48] as const) + dice.between(-5, 5)
  const tip = Svg.hsl(hue, dice.between(60, 85), dice.between(48, 76))
  const layers = dice.whole(5, 6)
  const rings = Array.from({ length: layers }, (_, k) => {
    const length = 10 * (1 - (0.84 * k) / layers)
    const colour = Svg.shade(tip, -3 * k)
    return { id: `${id}r${k}`, base: Svg.shade(colour, -26), tip: Svg.shade(colour, 4), length, k }
  })
  return {
    definitions: rings.flatMap(tones),
    content: rings.flatMap((r) => {
      const count = Math.max(3, 6 - Math.floor(r.k / 2))
      const width = (r.length * dice.between(3.9, 4.5)) / count
      return ring(dice, { ...r, count, width, shape: "round", from: 137.5 * r.k, light })
    }),
  }
}

/** A cup seen from the side, centred on the origin. */
const tulip: Head = (dice, id, light) => {
  const hue = dice.pick([350, 5, 18, 42, 52, 300, 325] as const) + dice.between(-6, 6)
  const tip = Svg.hsl(hue, dice.between(75, 92), dice.between(48, 66))
  const petals = { id, tip, base: Svg.turned(Svg.shade(tip, -15), 8), length: 17 }
  const [w, spread] = [dice.between(4.4, 5.4), dice.between(9, 15)]
  const lit = Math.sin((light * Math.PI) / 180)
  const petal = (angle: number, tone: number, scale = 1, width = w): string =>
    Svg.group(`${Svg.move([0, 8.5])} ${Svg.turn(angle)}`, [
      Svg.path(
        petalPath(17 * scale, width, "pointed"),
        `url(#${id}${Math.min(4, Math.max(0, Math.round(tone)))})`,
        ` stroke="${Svg.css(Svg.shade(petals.base, -16))}" stroke-width="0.25" stroke-opacity="0.6"`,
      ),
      Svg.path(
        ["M", 0, -4, "L", 0, -13 * scale],
        "none",
        ` stroke="${Svg.css(Svg.shade(tip, 14))}" stroke-width="0.5" stroke-opacity="0.4"`,
      ),
    ])
  return {
    definitions: tones(petals),
    content: [
      petal(-spread * 0.5, 0, 0.98),
      petal(spread * 0.5, 0, 0.98),
      petal(-spread * 1.5, 2 - 1.6 * lit, 0.96),
      petal(spread * 1.5, 2 + 1.6 * lit, 0.96),
      petal(dice.between(-3, 3), 2.8, 0.9, w * 1.12),
    ],
  }
}

export const of: Readonly<Record<Species, Head>> = { cosmos, daisy, rose, sunflower, tulip }
