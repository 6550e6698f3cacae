import type { Case } from "../Case.ts"
import { movements, products, reductions } from "./arrangements.ts"
import { convolutions } from "./convolutions.ts"
import { broadcasts, functions, pairs } from "./elementwise.ts"
import { networks } from "./networks.ts"

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
