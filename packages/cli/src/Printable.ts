/**
 * Text from files, on a terminal: names of tensors and pictures are written by strangers, and a terminal obeys control characters in
 * them. They are shown as escapes, `\\u001b`.
 */

/** Control characters of ASCII and Latin-1 but tab and line feed, and those that reverse the direction of the text after them. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g

const escaped = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`

/** Text of one or more lines. */
export const text = (given: string): string => given.replace(CONTROLS, escaped)

/** A name, in one line. */
export const line = (given: string): string => text(given).replace(/[\t\n]/g, escaped)
