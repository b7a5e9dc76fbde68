import '../suites/parsers.ts';
