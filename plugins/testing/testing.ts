/** What `import … from "kasosei/testing"` gives to the tests of a project of one's own. They run under `bun test`. */
export {
  type ContrastiveLossTest,
  type ContrastivePlugin,
  testContrastiveLoss,
} from "./test-contrastive-loss.ts"
export { type FineTuningPlugin, type ObjectiveTest, testObjective } from "./test-objective.ts"
export { type Float64Update, type OptimiserTest, testOptimiser } from "./test-optimiser.ts"
export { type PluginTest, testPlugin } from "./test-plugin.ts"
export { toyStudy } from "./toy-study.ts"
export { type ArtifactOf, withArtifacts } from "./with-artifacts.ts"
