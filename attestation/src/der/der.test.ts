import '../suites/der.ts';
