/**
 * What an artifact has in it of its past, by name and in words, beyond the sizes that an estimate gives: that its pooler
 * was drawn anew, that one of its token types was never trained. What two arms of a study differ in, undeclared, may
 * explain what is claimed of them. A trait that is not known before the artifact is made is left out.
 */
export type Traits = Readonly<Record<string, string>>

/**
 * How much the last training of an artifact took, by name: its updates, the sentences seen. Where the plugin is the same
 * this follows from options and inputs; between plugins it is compared.
 */
export type TrainingLength = Readonly<Record<string, string>>
