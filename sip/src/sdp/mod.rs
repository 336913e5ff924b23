//! Session descriptions for fax: offers and answers of G.711 and T.38 (RFC 8866, RFC 3264, T.38 Annex D).
