import '../suites/gpu.ts';
