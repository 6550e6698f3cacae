/** What a set of images may ask of memory and time. Pictures come from anywhere: a file of a few bytes must neither fill the memory nor hang. */

/** Bytes of one encoded picture, and of all that are in work at the same time: an uncompressed TIFF of 44 megapixels in 16 bits. */
export const BYTES = 1 << 28
/** Pixels of one decoded picture, and of all that are in work at the same time: 1.3 times those of the largest camera of a phone. */
export const PIXELS = 268_402_689
/** Seconds to decode one picture: ten times what the largest one takes. */
export const SECONDS = 60
/** Largest label: classes have consecutive numbers, and ImageNet-21k has 21,841 of them. */
export const LABEL = 1_000_000
/** Images of a set: their names are held in memory. LSUN's largest category has 3 million. */
export const IMAGES = 4_000_000
/** Folders that are reached through links: links can make a few folders look like very many. */
export const LINKED_FOLDERS = 10_000
