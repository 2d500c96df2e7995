import { Effect } from "effect"
import { hubAddress, Source } from "../../../core/hub/address.ts"
import { download } from "../../../core/hub/download.ts"

/** A file: a local path, or `hf://owner/name/path`. */
export const FileSource = Source.narrow(
  (source, context) => hubAddress(source)?.path !== null || context.mustBe("a file: hf://owner/name/file"),
)

/**
 * The local path of a {@link FileSource}, downloaded first if it is on the hub.
 *
 * @param limit the largest download in bytes
 */
export const localFile = (source: string, limit: number) => {
  const address = hubAddress(source)
  return address?.path == null ? Effect.succeed(source) : download(address.repository, address.path, limit)
}
