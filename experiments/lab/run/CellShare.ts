/** A part of the cells, for one of several machines or tasks: named cells, or one share of all of them. */
import { Failure } from "@adafm/core"

export interface Shard {
  /** From 1. */
  readonly index: number
  readonly of: number
}

/** `2/8`: the second of eight shares. */
export const shard = (text: string): Shard => {
  const [, index, of] = /^(\d+)\/(\d+)$/.exec(text) ?? []
  const found = { index: Number(index), of: Number(of) }
  return found.index >= 1 && found.index <= found.of
    ? found
    : Failure.raise("BadArguments", `--shard: expected I/N with I from 1 to N, such as 2/8; found ${text}`)
}

/** A cell's id is a hash, so its last digits spread the cells evenly over the shares, whatever is finished already. */
const shareOf = (id: string, of: number): number => Number(BigInt(`0x${id}`) % BigInt(of)) + 1

export interface Part {
  readonly cells?: readonly string[]
  readonly shard?: Shard
}

export const isPart = ({ cells, shard }: Part): boolean => cells !== undefined || shard !== undefined

/** Whether a cell belongs to the part. */
export const admits =
  ({ cells, shard }: Part) =>
  (id: string): boolean =>
    (cells === undefined || cells.includes(id)) && (shard === undefined || shareOf(id, shard.of) === shard.index)
