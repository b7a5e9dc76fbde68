import '../suites/x509.ts';
import '../suites/revocation.ts';
