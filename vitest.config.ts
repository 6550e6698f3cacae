import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    globalSetup: "scripts/temporary.mjs",
    include: ["packages/*/test/**/*.test.ts", "experiments/**/*.test.ts"],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    pool: "forks",
    maxWorkers: 2,
  },
})
