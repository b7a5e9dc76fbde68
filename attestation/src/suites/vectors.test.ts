import '../suites/vectors.ts';
