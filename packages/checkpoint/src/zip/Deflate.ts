/** What zip files are compressed and checked with: Node's zlib. A browser has another `Deflate`. */
export { crc32, inflateRawSync } from "node:zlib"
