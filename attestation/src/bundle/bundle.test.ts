import '../suites/bundle.ts';
