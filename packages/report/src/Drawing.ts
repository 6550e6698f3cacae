/** The document in which a chart is drawn: without a browser, that of linkedom. */
import { parseHTML } from "linkedom"

export const document = () => parseHTML("<!doctype html><html><body></body></html>").document
