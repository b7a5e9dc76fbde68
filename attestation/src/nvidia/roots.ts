/** SHA-256 of the NVIDIA Device Identity CA. */
export const nvidiaRoots = ['102bf659d5419614c9d8e6aecebc80454eb26b1df6a769ac720b9a690b167b48'] as const;
