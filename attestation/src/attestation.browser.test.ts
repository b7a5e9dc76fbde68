/** The same suites as in Node, inside Chromium. */
import './suites/der.ts';
import './suites/x509.ts';
import './suites/revocation.ts';
import './suites/parsers.ts';
import './suites/record.ts';
import './suites/tdx.ts';
import './suites/tdx-wrong.ts';
import './suites/snp.ts';
import './suites/gpu.ts';
import './suites/gpu-wrong.ts';
import './suites/bundle.ts';
import './suites/unused.ts';
import './suites/memory.ts';
import './suites/flips.ts';
import './suites/vectors.ts';
import './suites/vectors-snp.ts';
import './suites/vectors-gpu.ts';
