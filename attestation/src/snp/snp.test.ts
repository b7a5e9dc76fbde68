import '../suites/snp.ts';
