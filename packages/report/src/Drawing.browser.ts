/// <reference lib="dom" />
/** The document in which a chart is drawn: the page. */
export const document = () => globalThis.document
