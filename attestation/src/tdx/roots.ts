/** SHA-256 of the Intel SGX Root CA, certificates.trustedservices.intel.com/IntelSGXRootCA.der, valid until 2049. */
export const intelRoots = ['44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3'] as const;
