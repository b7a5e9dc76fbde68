import '../suites/gpu.ts';
import '../suites/gpu-wrong.ts';
