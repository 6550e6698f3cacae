import type { Case } from "../Case.ts"
import { movements, products, reductions } from "./Arrangements.ts"
import { convolutions } from "./Convolutions.ts"
import { broadcasts, functions, pairs } from "./Elementwise.ts"
import { networks } from "./Networks.ts"

/** Every case, by the heading that it has in the table. */
export const groups: Readonly<Record<string, readonly Case[]>> = {
  Convolutions: convolutions,
  "Functions of one tensor": functions,
  "Functions of two tensors": pairs,
  Broadcasting: broadcasts,
  "Products of matrices, labels": products,
  Reductions: reductions,
  "Moving elements, pooling": movements,
  "Parts of networks": networks,
}
