import type { Case } from "../Case.ts"
import * as Convolutions from "./Convolutions.ts"
import * as Elementwise from "./Elementwise.ts"
import * as Movements from "./Movements.ts"
import * as Networks from "./Networks.ts"
import * as Products from "./Products.ts"
import * as Reductions from "./Reductions.ts"

/** Every case, by its heading in the table. */
export const groups: Readonly<Record<string, readonly Case[]>> = {
  Convolutions: Convolutions.cases,
  "Functions of one tensor": Elementwise.functions,
  "Functions of two tensors": Elementwise.pairs,
  Broadcasting: Elementwise.broadcasts,
  "Matrix products, labels": Products.cases,
  Reductions: Reductions.cases,
  "Moving elements, pooling": Movements.cases,
  "Parts of networks": Networks.cases,
}
