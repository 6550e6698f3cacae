import { expect, test } from "vitest"
import * as Limits from "../src/Limits.ts"
import * as PictureBudget from "../src/PictureBudget.ts"
import * as StoredImage from "../src/StoredImage.ts"

const picture = (bytes: number, read: () => Promise<Uint8Array> = async () => new Uint8Array(1)) => ({
  form: StoredImage.DRAWING,
  size: async () => bytes,
  read,
})

test("pictures in work have no more bytes together than the limit, in the order in which they came", async () => {
  const third = Math.ceil(Limits.BYTES / 3)
  let [now, most] = [0, 0]
  const done: number[] = []
  await Promise.all(
    Array.from({ length: 12 }, async (_, i) => {
      const { release } = await PictureBudget.admit(picture(third))
      most = Math.max(most, ++now)
      await new Promise((resolve) => setTimeout(resolve, 2))
      now--
      done.push(i)
      release()
    }),
  )
  // units are rounded up, so that three thirds are a little more than the whole
  expect(most).toBe(2)
  expect(done).toEqual([...done].sort((a, b) => a - b))
})

test("a picture of unknown or excessive size is admitted alone, and a failed read gives its share back", async () => {
  for (let i = 0; i < 3; i++) {
    await expect(
      PictureBudget.admit(picture(10 * Limits.BYTES, () => Promise.reject(new Error("unreadable")))),
    ).rejects.toThrow("unreadable")
  }
  const { bytes, release } = await PictureBudget.admit(picture(10 * Limits.BYTES))
  expect(bytes.length).toBe(1)
  release()
})
