/** The same suites as in Node, inside Chromium. */
import './suites/der.ts';
import './suites/parsers.ts';
import './suites/tdx.ts';
import './suites/snp.ts';
import './suites/gpu.ts';
import './suites/bundle.ts';
import './suites/flips.ts';
import './suites/vectors.ts';
