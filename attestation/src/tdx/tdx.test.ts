import '../suites/tdx.ts';
import '../suites/tdx-wrong.ts';
