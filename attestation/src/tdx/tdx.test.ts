import '../suites/tdx.ts';
