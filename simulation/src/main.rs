//! t
use loafer_simulation::{run::run, scenario::Size};
fn main() {
    let a: Vec<u64> = std::env::args().skip(1).map(|x| x.parse().unwrap()).collect();
    let t = std::time::Instant::now();
    let mut kinds: std::collections::BTreeMap<&str,(u32,u64)> = Default::default();
    for seed in a[0]..a[0]+a[1] {
        let r = run(seed, &Size::WHOLE, a.len()>2);
        if let Some(l) = r.log { print!("{l}"); }
        for v in &r.violations { let e=kinds.entry(v.kind.name()).or_insert((0,seed)); e.0+=1; }
        if a[1]==1 { println!("{} {} {} {:?}", r.messages, r.calls, r.took, r.fingerprint);
          for (v,s) in r.violations.iter().zip(&r.stories) { println!("{v:?}\n{s}"); } }
    }
    println!("{kinds:#?} {:?}", t.elapsed()/(a[1] as u32));
}
