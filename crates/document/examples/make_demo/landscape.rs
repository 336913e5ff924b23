//! A picture in continuous tone, computed: mountains behind a lake in haze, under clouds.

type V = [f64; 3];

fn add(a: V, b: V) -> V {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}
fn mul(a: V, k: f64) -> V {
    [a[0] * k, a[1] * k, a[2] * k]
}
fn dot(a: V, b: V) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}
fn unit(a: V) -> V {
    mul(a, 1.0 / dot(a, a).sqrt())
}
fn mix(a: V, b: V, k: f64) -> V {
    add(mul(a, 1.0 - k), mul(b, k))
}
fn smooth(lo: f64, hi: f64, v: f64) -> f64 {
    let t = ((v - lo) / (hi - lo)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

fn chance(x: i64, y: i64) -> f64 {
    let mut h =
        (x as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (y as u64).wrapping_mul(0xC2B2_AE3D_27D4_EB4F);
    h = (h ^ (h >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    h = (h ^ (h >> 32)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (h >> 40) as f64 / (1u64 << 24) as f64
}

/// Smooth noise, 0 to 1.
fn noise(x: f64, y: f64) -> f64 {
    let (ix, iy) = (x.floor(), y.floor());
    let (fx, fy) = (smooth(0.0, 1.0, x - ix), smooth(0.0, 1.0, y - iy));
    let (ix, iy) = (ix as i64, iy as i64);
    let top = chance(ix, iy) * (1.0 - fx) + chance(ix + 1, iy) * fx;
    let low = chance(ix, iy + 1) * (1.0 - fx) + chance(ix + 1, iy + 1) * fx;
    top * (1.0 - fy) + low * fy
}

fn fractal(mut x: f64, mut y: f64, octaves: u32) -> f64 {
    let (mut sum, mut weight) = (0.0, 0.5);
    for _ in 0..octaves {
        sum += weight * noise(x, y);
        (x, y) = (1.6 * x + 1.2 * y + 17.3, -1.2 * x + 1.6 * y + 5.9);
        weight *= 0.5;
    }
    sum
}

/// Height of the ground over the lake.
fn ground(x: f64, z: f64, octaves: u32) -> f64 {
    let ridges = 1.0 - (2.0 * fractal(x * 0.11 + 3.0, z * 0.11, octaves) - 1.0).abs() * 2.2;
    let hills = fractal(x * 0.3 + 40.0, z * 0.3 + 9.0, octaves);
    let far = smooth(9.0, 26.0, z);
    let shore = smooth(5.5, 10.0, z + 1.6 * (x * 0.35).sin());
    shore * (0.1 + hills * 1.1 * (0.35 + far)) + far * ridges.max(0.0) * 5.2 - 0.35
}

const SUN: V = [-0.62, 0.38, 0.45];

fn sky(d: V) -> V {
    let up = d[1].max(0.0);
    let base = mix([0.93, 0.90, 0.84], [0.30, 0.47, 0.74], smooth(0.0, 0.55, up));
    let at = 1.0 / (d[1].max(0.02) + 0.08);
    let cloud = fractal(d[0] * at * 1.7 + 11.0, d[2] * at * 1.7, 6);
    let cover = smooth(0.46, 0.68, cloud) * smooth(0.02, 0.16, up);
    let lit = 0.78 + 0.22 * smooth(0.75, 0.45, cloud);
    let with_clouds = mix(base, mul([1.0, 0.98, 0.95], lit), cover);
    let glow = dot(d, unit(SUN)).max(0.0);
    add(with_clouds, mul([1.0, 0.85, 0.6], 0.25 * glow.powf(24.0)))
}

/// What is seen from `eye` in direction `d`.
fn look(eye: V, d: V, bounces: u32) -> V {
    let sun = unit(SUN);
    let water = if d[1] < -1e-4 { -eye[1] / d[1] } else { 1e9 };
    let mut t = 0.2;
    let mut hit = None;
    for _ in 0..260 {
        let p = add(eye, mul(d, t));
        if t > 60.0 || t > water || p[1] > 7.0 && d[1] > 0.0 {
            break;
        }
        let gap = p[1] - ground(p[0], p[2], 6);
        if gap < 0.0015 * t {
            hit = Some((p, t));
            break;
        }
        t += (gap * 0.35).max(0.006 * t.max(0.5));
    }
    let haze = |c: V, t: f64| {
        let k = 1.0 - (-t * 0.034).exp();
        mix(c, [0.86, 0.87, 0.88], k)
    };
    if let Some((p, t)) = hit {
        let e = 0.002 * t + 0.004;
        let h = |dx: f64, dz: f64| ground(p[0] + dx, p[2] + dz, 9);
        let normal = unit([h(-e, 0.0) - h(e, 0.0), 2.0 * e, h(0.0, -e) - h(0.0, e)]);
        let mut shade = 1.0f64;
        let mut s = 0.15;
        for _ in 0..24 {
            let q = add(p, mul(sun, s));
            let gap = q[1] - ground(q[0], q[2], 5);
            shade = shade.min(0.5 + 6.0 * gap / s);
            s += gap.max(0.08);
            if shade <= 0.0 || s > 6.0 {
                break;
            }
        }
        let light = dot(normal, sun).max(0.0) * shade.clamp(0.0, 1.0);
        let grain = fractal(p[0] * 9.0, p[2] * 9.0, 4);
        let meadow = mix([0.13, 0.17, 0.07], [0.30, 0.32, 0.15], grain);
        let rock = mix([0.25, 0.23, 0.22], [0.48, 0.45, 0.42], grain);
        let mut colour = mix(rock, meadow, smooth(0.62, 0.86, normal[1]));
        let snow = smooth(2.3, 3.1, p[1] + grain) * smooth(0.45, 0.7, normal[1]);
        colour = mix(colour, [0.96, 0.97, 1.0], snow);
        colour = mix([0.42, 0.38, 0.30], colour, smooth(0.015, 0.07, p[1]));
        let lit = add(
            mul(colour, 0.34 + 0.12 * normal[1]),
            mul([colour[0] * 1.0, colour[1] * 0.93, colour[2] * 0.8], 1.25 * light),
        );
        return haze(lit, t);
    }
    if water < 60.0 && bounces > 0 {
        let p = add(eye, mul(d, water));
        let ripple = |x: f64, z: f64| fractal(x * 5.0, z * 14.0, 4) * 0.010 * (1.0 + 6.0 / water);
        let e = 0.03;
        let normal = unit([
            (ripple(p[0] - e, p[2]) - ripple(p[0] + e, p[2])) / e,
            1.0,
            (ripple(p[0], p[2] - e) - ripple(p[0], p[2] + e)) / e,
        ]);
        let k = 2.0 * dot(d, normal);
        let mut r = add(d, mul(normal, -k));
        r[1] = r[1].abs().max(0.01);
        let mirrored = look(add(p, [0.0, 0.005, 0.0]), unit(r), bounces - 1);
        let fresnel = 0.10 + 0.90 * (1.0 + dot(d, normal)).clamp(0.0, 1.0).powf(3.0);
        return haze(mix([0.05, 0.10, 0.12], mirrored, fresnel), water * 0.6);
    }
    sky(d)
}

/// RGB octets.
pub(crate) fn paint(width: u32, height: u32) -> Vec<u8> {
    let (w, h) = (f64::from(width), f64::from(height));
    let mut out = Vec::with_capacity(width as usize * height as usize * 3);
    let eye = [0.6, 0.75, -1.0];
    for y in 0..height {
        for x in 0..width {
            let mut sum = [0.0; 3];
            for (dx, dy) in [(0.25, 0.25), (0.75, 0.75)] {
                let u = (f64::from(x) + dx - w / 2.0) / w * 1.25;
                let v = (h * 0.46 - f64::from(y) - dy) / w * 1.25;
                sum = add(sum, look(eye, unit([u, v, 1.0]), 1));
            }
            for c in mul(sum, 0.5) {
                let toned = (c * 1.04).clamp(0.0, 1.0).powf(0.90);
                out.push((toned * 255.0).round() as u8);
            }
        }
    }
    out
}
