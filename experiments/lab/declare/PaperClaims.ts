/** What the paper claims. (Its numbers are left out on purpose: the claims are tested here, not the figures.) */

export interface Claim {
  readonly id: string
  readonly title: string
  readonly text: string
  /** Why no experiment here can test it. */
  readonly outside?: string
}

export const paper: readonly Claim[] = [
  {
    id: "E1",
    title: "G's general part",
    text: "Low-level filters of the generator carry over: keeping a middle number of groups frozen is best, too many hurts, too few wastes the source.",
  },
  { id: "E2", title: "D's general part", text: "A small number of frozen groups of the discriminator is best." },
  {
    id: "E3",
    title: "The specific part",
    text: "For few images, a small head of style blocks works better than the source's own high-level layers.",
  },
  {
    id: "E4",
    title: "AdaFM",
    text: "Modulating the frozen filters plane by plane helps, and more than filter selection, weight modulation or BSA.",
  },
  {
    id: "E5",
    title: "Against other methods",
    text: "The method is better than fine-tuning everything (TransferGAN) and than a start from scratch.",
  },
  { id: "E6", title: "Step by step", text: "Frozen groups, the small head and AdaFM each improve on the step before." },
  {
    id: "E7",
    title: "Limited data",
    text: "With fewer images the source matters more, and more of D should be frozen.",
  },
  { id: "E8", title: "25 images", text: "With settings made for it the method works with 25 images." },
  {
    id: "E9",
    title: "Analysis",
    text: "What γ and β learned is meaningful; style mixing and interpolation are smooth.",
    outside:
      "shown as pictures, not judged by a number: heat maps, walks and mixed styles on the page of `ablation-adafm`",
  },
  {
    id: "E10",
    title: "Appendix",
    text: "Transferred filters beat random frozen ones; a source brings convergence sooner; other sources work too.",
  },
  {
    id: "RQ5",
    title: "A source of knowledge",
    text: "Generated images improve a classifier that is trained on few photographs.",
  },
  {
    id: "IS",
    title: "Inception Score",
    text: "The method also has the better Inception Score.",
    outside: "not tested: the score needs class logits, which the network with 768 dimensions lacks",
  },
]
