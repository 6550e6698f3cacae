/** The files of a drop, those in dropped folders included. */

const inEntry = async (entry: FileSystemEntry): Promise<readonly File[]> => {
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject))
    const path = entry.fullPath.replace(/^\//, "")
    if (path !== file.name) Object.defineProperty(file, "webkitRelativePath", { value: path })
    return [file]
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader()
  const all: File[] = []
  for (;;) {
    // a reader returns at most a hundred entries at a time
    const some = await new Promise<readonly FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject))
    if (some.length === 0) return all
    for (const one of some) all.push(...(await inEntry(one)))
  }
}

export const files = async ({ items, files: plain }: DataTransfer): Promise<readonly File[]> => {
  const entries = [...items].flatMap((item) => item.webkitGetAsEntry?.() ?? [])
  if (entries.length === 0) return [...plain]
  return (await Promise.all(entries.map(inEntry))).flat()
}
