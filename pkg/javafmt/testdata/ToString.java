import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;

/** Reads big-endian bit patterns and writes Double.toString, or Float.toString if told "float", one a line. */
class ToString {
    public static void main(String[] arguments) throws IOException {
        boolean isFloat = arguments[0].equals("float");
        DataInputStream in = new DataInputStream(new BufferedInputStream(System.in, 1 << 16));
        OutputStream out = new BufferedOutputStream(System.out, 1 << 16);
        try {
            while (true) {
                String text = isFloat ? Float.toString(Float.intBitsToFloat(in.readInt()))
                                      : Double.toString(Double.longBitsToDouble(in.readLong()));
                out.write(text.getBytes(StandardCharsets.ISO_8859_1));
                out.write('\n');
            }
        } catch (EOFException end) {
            out.flush();
        }
    }
}
