/** Whether a relative path with forward slashes names something inside the folder that it is taken from. */
export const isInside = (path: string): boolean =>
  !path.includes("\0") && path.split("/").every((part) => part !== "" && part !== "." && part !== "..")
