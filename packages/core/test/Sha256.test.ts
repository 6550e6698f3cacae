import { expect, test } from "vitest"
import * as InBrowser from "../src/platform/Sha256.browser.ts"
import * as InNode from "../src/platform/Sha256.ts"

/** FIPS 180-4, examples of one and two blocks. */
const KNOWN = [
  ["abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],
  [
    "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
    "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
  ],
] as const

test.each([
  ["Node", InNode],
  ["a browser", InBrowser],
])("the hash in %s is SHA-256", (_, { make }) => {
  for (const [text, hex] of KNOWN) expect(make().update(text).hex()).toBe(hex)
})

test("both hash parts, text beyond ASCII and views into larger buffers equally", () => {
  const bytes = Uint8Array.from({ length: 1000 }, (_, i) => i * 7).subarray(3, 700)
  const [a, b] = [InNode, InBrowser].map(({ make }) => make().update("0\0größe").update(bytes))
  expect(a!.hex()).toBe(b!.hex())
  expect([...InBrowser.make().update(bytes).bytes()]).toEqual([...InNode.make().update(bytes).bytes()])
})
