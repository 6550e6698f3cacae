/** The folder of the page, with `index.html` in it. */
export declare const folder: string
