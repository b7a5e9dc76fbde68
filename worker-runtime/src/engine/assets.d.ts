/** Vite's address of a file, resolved at build time. */
declare module '*?url' {
  const url: string;
  export default url;
}
