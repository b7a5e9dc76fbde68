export function hashOfFiles(root: string, files: readonly string[]): string;
export function filesBelow(root: string, paths: readonly string[], keep: (path: string) => boolean): string[];
